"""What a running app holds: its models, its engine and its metrics. Opened at start, closed when it drains."""

import gc
import logging
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.contract.artifact import ATTEND_GRAPH
from models.contract.errors import ArtifactError
from models.contract.manifest import MANIFEST_FILE
from service.engine.engine import Engine
from service.engine.lanes import BatchLimits
from service.errors import ModelNotFound, NotReady
from service.metrics import Metrics
from service.runtime.encoder import Encoder
from service.runtime.providers import CPU
from service.settings import Settings

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 1_024
"""Past this a CPU batch gains no throughput and delays its neighbours; `max_batch_tokens` can only lower it."""

ATTENTION_WORKSPACE_BYTES = 256 * 2**20
"""Weights that one batch may hold while it runs, over all layers and heads."""


@dataclass
class State:
    """Warmed up when it exists; `ready` until it drains or its engine has died."""

    settings: Settings
    models: dict[str, Encoder]
    engine: Engine
    metrics: Metrics
    draining: bool = False

    @property
    def ready(self) -> bool:
        return not self.draining and self.engine.alive

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Verify, open and warm up every model, then start the engine.

        Raises ArtifactError or ProviderUnavailable: a service that cannot serve all it was given must not start.
        """
        models: dict[str, Encoder] = {}
        for directory in settings.artifact_directories():
            encoder = Encoder.open(directory, device=settings.device, threads=settings.intra_op_threads())
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
        return cls(settings, models, engine, metrics)

    def close(self) -> None:
        """Stop being ready, finish what is queued."""
        self.draining = True
        self.engine.close()

    def model(self, name: str) -> Encoder:
        """The served model of that name. Raises ModelNotFound, or NotReady while draining."""
        if not self.ready:
            raise NotReady("the server is not ready")
        if name not in self.models:
            raise ModelNotFound(f"no model of that name; served: {', '.join(self.models)}", "model")
        return self.models[name]


def _limits(settings: Settings, models: dict[str, Encoder]) -> BatchLimits:
    on_cpu = all(provider == CPU for encoder in models.values() for provider in encoder.providers.values())
    matrices = max(model.manifest.attention.layers * model.manifest.attention.heads for model in models.values())
    return BatchLimits(
        tokens=min(settings.max_batch_tokens, CPU_BATCH_TOKENS) if on_cpu else settings.max_batch_tokens,
        cells=ATTENTION_WORKSPACE_BYTES // (4 * matrices),
    )


def _warm_up(encoder: Encoder, limits: BatchLimits) -> None:
    """Run the largest batch first, so that ONNX Runtime's arena has its final size, then the smallest."""
    longest = min(encoder.manifest.text.max_tokens, limits.tokens)
    for items, tokens in ((max(1, limits.tokens // longest), longest), (1, 1)):
        batch = [np.zeros(tokens, dtype=np.int64)] * items
        encoder.run(batch)
        encoder.run(batch, encoder.manifest.graphs[ATTEND_GRAPH].outputs)


def _quiet_garbage_collector() -> None:
    """Keep what start-up made out of every later collection: they were the tail (114 ms at p99, 4 ms without)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
