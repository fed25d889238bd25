"""Command line of `python -m service`; everything else is configured by environment variables (`service.settings`)."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from service import limits


@dataclass(frozen=True)
class CliOptions:
    """Address to listen on, and options that are passed to BentoML's worker."""

    host: str
    port: int
    server_args: list[str]


def parse_args(arguments: Sequence[str]) -> CliOptions:
    """Parse the command line; on an error, print usage and exit."""
    parsed = vars(build_parser().parse_args(arguments))
    host, port = parsed.pop("host"), parsed.pop("port")
    server_options = {name.replace("_", "-"): value for name, value in parsed.items() if value is not None}
    return CliOptions(host, port, [f"--{name}={value}" for name, value in server_options.items()])


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve embeddings over HTTP. Configured by HEADLIGHT_* environment variables, see README.md.",
        allow_abbrev=False,  # `service.ops.healthcheck` searches the command line for full option names
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s); 0.0.0.0 for the network")
    add("--port", type=_port, default=3000, help="port to listen on (%(default)s)")
    add("--backlog", type=int, default=2048, help="maximum length of the accept queue (%(default)s)")
    add("--timeout-keep-alive", type=int, default=5, metavar="S",
        help="keep-alive timeout of an idle connection, in seconds (%(default)s)")  # fmt: skip
    add("--timeout-graceful-shutdown", type=int, default=limits.GRACEFUL_SHUTDOWN_TIMEOUT_S, metavar="S",
        help="seconds for requests in flight to finish on shutdown (%(default)s)")  # fmt: skip
    tls = parser.add_argument_group("TLS")
    for name in ("certfile", "keyfile", "keyfile-password", "ca-certs", "ciphers"):
        tls.add_argument(f"--ssl-{name}")
    for name in ("version", "cert-reqs"):
        tls.add_argument(f"--ssl-{name}", type=int, help="numeric constant from Python's module `ssl`")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"invalid port: {text!r}")
    return int(text)
