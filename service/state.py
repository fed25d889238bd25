"""What a running app holds: its models, its engine and its metrics. Opened at start, closed when it drains."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from models.contract.manifest import Modality
from service.accesslog import AccessLog
from service.bodies import Bodies
from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.errors import ModelNotFound, NotReady
from service.keyring import Keyring
from service.metrics import Metrics
from service.opening import opened
from service.processors import side_by_side
from service.runtime.encoder import AnyEncoder
from service.runtime.providers import CPU
from service.settings import Settings
from service.tracing import Tracing
from service.warmup import CPU_BATCH_TOKENS, batch_limits, warm_up

logger = logging.getLogger(__name__)

GPU_IN_FLIGHT = 2
"""Batches at a time on a GPU: one computes while the other is packed or handed out."""

GATHER_TOKENS = 64
"""Of fewer a batch takes 1.05 to 1.5 times as long for each on CPU, so it may wait a moment to grow."""

ANSWERS_PROMISED = 8
"""So many answers of `max_attention_bytes` each may be owed at a time."""

STUCK_TIMES, STUCK_AT_LEAST_S = 100, 60.0
"""A batch is stuck when it has run this many times as long as the longest at warm-up did, and at least so long."""


@dataclass
class State:
    """Warmed up when it exists; `ready` while all of its engine is at work, until it is `leaving`.

    `leaving` is only said: everything is still served. Once `draining`, no request is taken any more.

    What is not brief the event loop neither tokenizes nor decodes: `tokenizing` and `decoding` are the threads that do,
    as few as bound what decoded pictures take, each up to `max_image_pixels` several times over.
    """

    settings: Settings
    models: dict[str, AnyEncoder]
    engine: Engine
    metrics: Metrics
    tokenizing: ThreadPoolExecutor
    decoding: ThreadPoolExecutor
    keys: Keyring
    tracing: Tracing | None
    access_log: AccessLog | None
    leaving: bool = False
    draining: bool = False
    bodies: Bodies = field(default_factory=Bodies)

    @property
    def ready(self) -> bool:
        return not (self.leaving or self.draining) and self.engine.alive

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Verify, open and warm up every model, then start the engine.

        Raises ArtifactError or ProviderUnavailable: a service that cannot serve all it was given must not start.
        """
        threads = settings.intra_op_threads()
        models = opened(settings)
        on_cpu = any(encoder.provider == CPU for encoder in models.values())
        in_flight = side_by_side(threads) if on_cpu else GPU_IN_FLIGHT
        batches = {name: batch_limits(encoder, settings, in_flight) for name, encoder in models.items()}
        workspace = settings.attention_workspace_bytes
        longest_s = max(warm_up(encoder, batches[name], workspace) for name, encoder in models.items())
        metrics = Metrics()
        for name, encoder in models.items():
            metrics.models.labels(name, encoder.provider, encoder.manifest.precision).set(1)
        engine = Engine(
            models,
            limits=QueueLimits(
                tokens=settings.max_queue_tokens,
                attention_bytes=ANSWERS_PROMISED * settings.max_attention_bytes,
                small_tokens=max(CPU_BATCH_TOKENS, *(encoder.max_positions for encoder in models.values())),
            ),
            batches=batches,
            metrics=metrics,
            in_flight=in_flight,
            gather_tokens=GATHER_TOKENS if all(encoder.provider == CPU for encoder in models.values()) else 0,
            stuck_after_s=max(STUCK_AT_LEAST_S, STUCK_TIMES * longest_s),
            cache_bytes=settings.cache_bytes,
        )
        metrics.engine_alive.set_function(lambda: engine.alive)
        tokenizing, decoding = (ThreadPoolExecutor(threads, f"headlight-{what}") for what in ("tokenizing", "decoding"))
        logger.info("serving %s", ", ".join(models))
        access_log = AccessLog() if settings.access_log else None
        keys = Keyring(tuple(key.get_secret_value() for key in settings.api_keys), settings.api_keys_file)
        return cls(settings, models, engine, metrics, tokenizing, decoding, keys, Tracing.configured(), access_log)

    def close(self) -> None:
        """Stop being ready, finish what is queued."""
        self.draining = True
        self.engine.close()
        self.tokenizing.shutdown()
        self.decoding.shutdown()
        if self.access_log:
            self.access_log.flush()
        if self.tracing:
            self.tracing.close()

    def check_alive(self) -> None:
        """Raises NotReady unless all of the engine is at work."""
        if not self.engine.alive:
            raise NotReady("the engine has stopped")

    def check_ready(self) -> None:
        """Raises NotReady while it drains, or something is stuck."""
        if not self.ready:
            raise NotReady("the server is not ready")

    def model(self, name: str) -> AnyEncoder:
        """The served model of that name. Raises ModelNotFound, or NotReady while draining."""
        self._refuse_if_draining()
        if name not in self.models:
            raise ModelNotFound(f"no model of that name; served: {', '.join(self.models)}", "model")
        return self.models[name]

    def first(self, modality: Modality) -> AnyEncoder:
        """The first served model of a modality, for who names none. Raises ModelNotFound, or NotReady."""
        self._refuse_if_draining()
        for encoder in self.models.values():
            if encoder.manifest.modality == modality:
                return encoder
        raise ModelNotFound(f"no model that takes a{'n image' if modality == 'image' else ' text'} is served", "model")

    def of_space(self, encoder: AnyEncoder, modality: Modality) -> AnyEncoder | None:
        """The model itself, or the first that embeds that modality into the same space."""
        if encoder.manifest.modality == modality:
            return encoder
        space = encoder.manifest.embedding.space
        alike = (other for other in self.models.values() if other.manifest.modality == modality)
        return next((other for other in alike if other.manifest.embedding.space == space), None)

    def _refuse_if_draining(self) -> None:
        if self.draining or not self.engine.accepting:
            raise NotReady("the server is not ready")
