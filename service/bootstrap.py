"""State of a running app: its models, engine and metrics; opened at startup, closed on graceful shutdown."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from service import limits
from service.cpu import concurrent_batches
from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.errors import NotReady
from service.http.auth import ApiKeyStore
from service.http.body_limits import BodyMemoryBudget
from service.model_loader import CPU_BATCH_TOKENS, batch_limits, load_models, warm_up
from service.ops.access_log import AccessLog
from service.ops.metrics import Metrics
from service.ops.tracing import Tracing
from service.pipeline.model_registry import ModelRegistry
from service.runtime.providers import CPU
from service.settings import Settings
from service.shutdown import Lifecycle, Phase

logger = logging.getLogger(__name__)

GPU_CONCURRENT_BATCHES = 2
"""Batches at a time on a GPU: one computes while the other is packed or handed out."""

PREFERRED_BATCH_TOKENS = 64
"""Tokens below which a batch takes 1.05 to 1.5 times as long per token on CPU, so that it may be delayed to grow."""


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

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Verify, open and warm up every model, then start the engine.

        Raises ArtifactError or ProviderUnavailable: a service that cannot serve all it was given must not start.
        """
        threads = settings.intra_op_threads()
        models = load_models(settings)
        on_cpu = any(encoder.provider == CPU for encoder in models.values())
        in_flight = concurrent_batches(threads) if on_cpu else GPU_CONCURRENT_BATCHES
        batches = {name: batch_limits(encoder, settings, in_flight) for name, encoder in models.items()}
        workspace = settings.attention_workspace_bytes
        slowest_run_s = max(warm_up(encoder, batches[name], workspace) for name, encoder in models.items())
        metrics = Metrics()
        for name, encoder in models.items():
            metrics.model_info.labels(name, encoder.provider, encoder.manifest.precision).set(1)
        engine = Engine(
            models,
            limits=QueueLimits(
                tokens=settings.max_queue_tokens,
                attention_bytes=limits.MAX_OUTSTANDING_ATTENTION_RESPONSES * settings.max_attention_bytes,
                small_request_tokens=max(CPU_BATCH_TOKENS, *(encoder.max_positions for encoder in models.values())),
            ),
            batch_limits=batches,
            metrics=metrics,
            concurrent_batches=in_flight,
            preferred_batch_tokens=PREFERRED_BATCH_TOKENS
            if all(encoder.provider == CPU for encoder in models.values())
            else 0,
            hung_after_s=max(limits.WATCHDOG_MIN_S, limits.WATCHDOG_FACTOR * slowest_run_s),
            cache_bytes=settings.cache_bytes,
        )
        metrics.engine_alive.set_function(lambda: engine.alive)
        tokenizer_pool, image_pool = (
            ThreadPoolExecutor(threads, f"headlight-{pool}") for pool in ("tokenizing", "decoding")
        )
        logger.info("serving: models=%s", ", ".join(models))
        access_log = AccessLog() if settings.access_log else None
        api_keys = ApiKeyStore(tuple(key.get_secret_value() for key in settings.api_keys), settings.api_keys_file)
        return cls(
            settings, ModelRegistry(models, engine), engine, metrics, tokenizer_pool, image_pool, api_keys,
            Tracing.from_env(), access_log,
        )  # fmt: skip

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
