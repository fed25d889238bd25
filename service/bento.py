"""BentoML service, the outermost room: BentoML provides lifecycle, workers and builds; the app responds.

The app stands in front of BentoML's and leaves it its own paths. Behind it, each request would pass BentoML's tracing,
timer and context (0.4 ms of a processor, and a timer kept for the length of its timeout), and BentoML would answer
health, unknown paths and methods itself, in another format.
"""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import bentoml
import uvicorn.config
from _bentoml_impl.worker.service import main as work
from _bentoml_sdk import Service  # the type that bentoml.service returns; the decorator accepts a subclass
from prometheus_client import values
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import bentoml as native
from service.app import create_app
from service.app_state import AppState
from service.http.read_timeout import READ_TIMEOUT
from service.ops.access_log import configure_access_log
from service.shutdown import ACCEPT_GATE, GracefulShutdown

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0002
"""Longest time that a thread holds the GIL while another waits for it. At Python's 5 ms a processor that has finished a
batch is idle while requests are read: 4 % of the throughput on short texts (docs/adr/0011)."""

GC_THRESHOLDS = 5_000, 2, 1_000
"""Thresholds of the collector's generations. Reference counting frees a request when it is answered, so the collector
only scans what is in flight: 1 ms of a processor for 10,000 objects, over 10 ms for 50,000. Generation 2 is collected
about every ten million allocations, to free reference cycles left by libraries."""


def disable_multiprocess_metrics() -> None:
    """Keep metrics in memory; call before the first metric is made.

    BentoML's environment requests metrics in files, for several processes. This is one process, which may have no
    writable folder, and counting in memory costs less.
    """
    values.ValueClass = values.MutexValue


def tune_interpreter() -> None:
    """Exclude all present objects from garbage collection (pauses of 4 ms at p99 instead of 114), and tune the GIL."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


SERVICE = "service.bento:Headlight"


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to that address. Raises OSError on failure.

    The socket does not listen: uvicorn calls listen() after warm-up, so early connections are refused, not queued.
    """
    family, socket_type, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening_socket = socket.socket(family, socket_type, protocol)
    listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening_socket.bind(address)
    return listening_socket


def serve(listening_socket: socket.socket, options: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT; `options` are passed to the BentoML worker.

    On shutdown uvicorn raises the captured signal again; the handler installed here turns that into exit code 0.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    ACCEPT_GATE.register(listening_socket)
    work.main([SERVICE, "--fd", str(listening_socket.detach()), *options], standalone_mode=False)


def _exit_cleanly(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


BENTOML_PATHS = frozenset({"/docs.json", "/schema.json"})

# BentoML's worker imports this module before it creates its uvicorn.Config, to which it passes no protocol. So the
# protocol is chosen here, for `bentoml serve` too.
uvicorn.config.HTTP_PROTOCOLS["auto"] = "service.http.protocol:HardenedHttpProtocol"

application = create_app()


class BentoMLDispatcher:
    """ASGI app that routes requests to the app, and BentoML's own paths and the server's events to BentoML."""

    def __init__(self, bentoml_app: ASGIApp, bentoml_paths: frozenset[str]) -> None:
        self._bentoml_app = bentoml_app
        self._bentoml_paths = bentoml_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_headlight_path = scope["type"] == "http" and scope["path"] not in self._bentoml_paths
        await (application if is_headlight_path else self._bentoml_app)(scope, receive, send)


class HeadlightService(Service[Any]):
    """BentoML service with the app in front."""

    def to_asgi(self, is_main: bool = True) -> BentoMLDispatcher:
        """Return the app that the worker serves."""
        return BentoMLDispatcher(super().to_asgi(is_main), BENTOML_PATHS)


@bentoml.service(
    name="headlight",
    service_class=HeadlightService,
    workers=1,  # one process uses all processors; scale by containers
    metrics={"enabled": False},  # BentoML's metrics have raw paths as labels, without limit
    logging={"access": {"enabled": False}},
)
class Headlight:
    """Service that opens the app's models when the worker starts, and drains them when it stops."""

    def __init__(self) -> None:
        self._lifespan = contextlib.AsyncExitStack()

    @bentoml.on_startup
    async def start(self) -> None:
        _share_bentoml_log_handlers()
        configure_access_log()
        disable_multiprocess_metrics()
        await self._lifespan.enter_async_context(application.router.lifespan_context(application))
        tune_interpreter()
        state: AppState = application.state.headlight
        state.metrics.watch_garbage_collector()
        READ_TIMEOUT.timeout_s = state.settings.read_timeout_ms / 1_000
        GracefulShutdown(state.lifecycle, state.settings.shutdown_delay_ms / 1_000).install()
        if ACCEPT_GATE.address:  # under `bentoml serve` the supervisor logs the address
            logger.info("ready: address=%s", ACCEPT_GATE.address)

    @bentoml.api
    async def encode(
        self, texts: list[str], model: str | None = None, dimensions: int | None = None
    ) -> list[list[float]]:
        """Embed texts for services in the same process. Over HTTP the app responds, by this method's description."""
        return await native.encode_in_process(application.state.headlight, texts, model, dimensions)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        await self._lifespan.aclose()


def _share_bentoml_log_handlers() -> None:
    """Send the service's log to BentoML's handlers: BentoML configures its own logger only.

    BentoML's configuration disables all loggers that exist at that time; those of the service are enabled again.
    """
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "service":
            logging.getLogger(name).disabled = False
    bentoml_logger, service_logger = logging.getLogger("bentoml"), logging.getLogger("service")
    service_logger.handlers = bentoml_logger.handlers
    service_logger.setLevel(bentoml_logger.level)
    service_logger.propagate = False
