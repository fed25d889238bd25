"""What a running app holds: its models, its engine and its metrics. Opened at start, closed when it drains."""

import asyncio
import gc
import logging
from dataclasses import dataclass
from typing import Self

from models.contract.errors import ArtifactError
from models.contract.manifest import MANIFEST_FILE
from service.engine.engine import Engine
from service.engine.lanes import BatchLimits
from service.errors import ModelNotFound, NotReady
from service.metrics import Metrics
from service.runtime.encoder import AnyEncoder, open_encoder
from service.runtime.providers import CPU
from service.settings import Settings

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 1_024
"""Past this a CPU batch gains no throughput and delays its neighbours; `max_batch_tokens` can only lower it."""

ATTENTION_WORKSPACE_BYTES = 256 * 2**20
"""Weights that one batch may hold while it runs, over all layers and heads."""


@dataclass
class State:
    """Warmed up when it exists; `ready` until it drains or its engine has died.

    `decoders` are taken by threads that decode a picture: each can hold `max_image_pixels` several times over.
    """

    settings: Settings
    models: dict[str, AnyEncoder]
    engine: Engine
    metrics: Metrics
    decoders: asyncio.Semaphore
    draining: bool = False

    @property
    def ready(self) -> bool:
        return not self.draining and self.engine.alive

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Verify, open and warm up every model, then start the engine.

        Raises ArtifactError or ProviderUnavailable: a service that cannot serve all it was given must not start.
        """
        models: dict[str, AnyEncoder] = {}
        for directory in settings.artifact_directories():
            encoder = open_encoder(
                directory,
                device=settings.device,
                threads=settings.intra_op_threads(),
                max_image_pixels=settings.max_image_pixels,
            )
            if encoder.name in models:
                raise ArtifactError(directory / MANIFEST_FILE, "has a name that another artifact has too")
            models[encoder.name] = encoder
        limits = _limits(settings, models)
        for encoder in models.values():
            _warm_up(encoder, limits)
        metrics = Metrics()
        engine = Engine(models, limits=limits, max_queue_tokens=settings.max_queue_tokens, metrics=metrics)
        _quiet_garbage_collector()
        logger.info("serving %s", ", ".join(models))
        return cls(settings, models, engine, metrics, asyncio.Semaphore(settings.intra_op_threads()))

    def close(self) -> None:
        """Stop being ready, finish what is queued."""
        self.draining = True
        self.engine.close()

    def model(self, name: str) -> AnyEncoder:
        """The served model of that name. Raises ModelNotFound, or NotReady while draining."""
        if not self.ready:
            raise NotReady("the server is not ready")
        if name not in self.models:
            raise ModelNotFound(f"no model of that name; served: {', '.join(self.models)}", "model")
        return self.models[name]


def _limits(settings: Settings, models: dict[str, AnyEncoder]) -> BatchLimits:
    on_cpu = all(encoder.provider == CPU for encoder in models.values())
    observable = [model.manifest.attention for model in models.values() if model.manifest.attention]
    matrices = max((attention.matrices for attention in observable), default=1)
    return BatchLimits(
        tokens=min(settings.max_batch_tokens, CPU_BATCH_TOKENS) if on_cpu else settings.max_batch_tokens,
        cells=ATTENTION_WORKSPACE_BYTES // (4 * matrices),
    )


def _warm_up(encoder: AnyEncoder, limits: BatchLimits) -> None:
    """Run the largest batch first, so that ONNX Runtime's arena has its final size, then the smallest."""
    longest = min(encoder.max_positions, limits.tokens)
    most = max(1, limits.tokens // longest)
    most_observed = max(1, min(most, limits.cells // longest**2))
    attention = encoder.manifest.attention
    for items, observed, positions in ((most, most_observed, longest), (1, 1, 1)):
        encoder.run([encoder.stand_in(positions)] * items)
        if attention:
            heads = range(min(attention.heads))
            encoder.run([encoder.stand_in(positions)] * observed, encoder.manifest.graph.outputs, heads)


def _quiet_garbage_collector() -> None:
    """Keep what start-up made out of every later collection: they were the tail (114 ms at p99, 4 ms without)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
