"""How long a client may take to send. Who reads the settings tells it at start: a connection is given nothing, for the
protocol is known to the server by its name alone."""


class ReadTimeout:
    """`timeout_s` for a request's headers, and for its body as long, and more by its size
    (`service.http.request_progress`)."""

    def __init__(self) -> None:
        self.timeout_s = 10.0


READ_TIMEOUT = ReadTimeout()
