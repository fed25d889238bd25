"""State of a running app: its models, engine, metrics and pools."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from service.engine.engine import Engine
from service.errors import NotReady
from service.http.auth import ApiKeyStore
from service.http.body_limits import BodyMemoryBudget
from service.ops.access_log import AccessLog
from service.ops.metrics import Metrics
from service.ops.tracing import Tracing
from service.pipeline.model_registry import ModelRegistry
from service.settings import Settings
from service.shutdown import Lifecycle, Phase


@dataclass
class AppState:
    """State of a running app, warmed up when it exists.

    `tokenizer_pool` and `image_pool` are the threads that tokenize long texts and decode images. They are few, which
    bounds the memory of decoded images: each takes several times `max_image_pixels`.
    """

    settings: Settings
    models: ModelRegistry
    engine: Engine
    metrics: Metrics
    tokenizer_pool: ThreadPoolExecutor
    image_pool: ThreadPoolExecutor
    api_keys: ApiKeyStore
    tracing: Tracing | None
    access_log: AccessLog | None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    body_budget: BodyMemoryBudget = field(default_factory=BodyMemoryBudget)

    @property
    def ready(self) -> bool:
        """Whether readiness succeeds."""
        return self.lifecycle.phase is Phase.READY and self.engine.alive

    def close(self) -> None:
        """Finish the queued requests, then release everything."""
        self.lifecycle.advance(Phase.DRAINED)
        self.engine.close()
        self.tokenizer_pool.shutdown()
        self.image_pool.shutdown()
        if self.access_log:
            self.access_log.flush()
        if self.tracing:
            self.tracing.close()

    def check_alive(self) -> None:
        """Raise NotReady unless the whole engine is alive."""
        if not self.engine.alive:
            raise NotReady("the engine has stopped")

    def check_ready(self) -> None:
        """Raise NotReady during shutdown, or while a batch is stuck."""
        if not self.ready:
            raise NotReady("the server is not ready")
