"""What `python -m service` is told on its command line; all else is in the environment (`service.settings`)."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

GRACE_S = 30


@dataclass(frozen=True)
class Options:
    """Where to listen, and what is passed on to BentoML's worker as it is."""

    host: str
    port: int
    for_worker: list[str]


def parse(arguments: Sequence[str]) -> Options:
    """Ends the process, with how it should be, when they cannot be understood."""
    parsed = vars(_parser().parse_args(arguments))
    host, port = parsed.pop("host"), parsed.pop("port")
    given = {name.replace("_", "-"): value for name, value in parsed.items() if value is not None}
    return Options(host, port, [f"--{name}={value}" for name, value in given.items()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve embeddings over HTTP. What is served: HEADLIGHT_*, see README.md.",
        allow_abbrev=False,  # whoever looks how it was started (`service.probe`) looks for whole names
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s); 0.0.0.0 for the network")
    add("--port", type=_port, default=3000, help="port to listen on (%(default)s)")
    add("--backlog", type=int, default=2048, help="connections that may wait to be accepted (%(default)s)")
    add("--timeout-keep-alive", type=int, default=5, metavar="S",
        help="seconds that a connection without a request is kept (%(default)s)")  # fmt: skip
    add("--timeout-graceful-shutdown", type=int, default=GRACE_S, metavar="S",
        help="seconds that requests in flight have to finish when stopped (%(default)s)")  # fmt: skip
    tls = parser.add_argument_group("TLS")
    for name in ("certfile", "keyfile", "keyfile-password", "ca-certs", "ciphers"):
        tls.add_argument(f"--ssl-{name}")
    for name in ("version", "cert-reqs"):
        tls.add_argument(f"--ssl-{name}", type=int, help="a number of Python's module `ssl`")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
