"""Read timeout for slow clients.

A process-wide value, because uvicorn instantiates the protocol by its import path and passes no arguments of ours.
"""


class ReadTimeout:
    """`timeout_s` for a request's headers, and for its body as long, and more by its size
    (`service.http.request_progress`)."""

    def __init__(self) -> None:
        self.timeout_s = 10.0


READ_TIMEOUT = ReadTimeout()
