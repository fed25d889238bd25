"""How large a model's batches may be, and the runs that it is warmed up with: those largest ones, and the smallest."""

import logging
import time
from collections.abc import Iterator, Sequence

from models.contract import tensors
from service.engine.attention import AttentionQuery
from service.engine.lengths import BatchLimits
from service.engine.plan import FLOAT_BYTES
from service.processors import side_by_side
from service.runtime.encoder import EMBEDDING_ONLY, VECTORS, AnyEncoder
from service.runtime.providers import CPU
from service.settings import Settings

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 256
"""For each thread of a batch. Past this a CPU batch gains no throughput (its activations leave the cache) and delays
its neighbours; `max_batch_tokens` can only lower it."""

ATTENTION_WORKSPACE_BYTES = 256 * 2**20
"""Weights that the batches in flight may hold while they run, over all layers and heads. An item that comes alone may
hold what `Settings.attention_workspace_bytes` says."""

Run = tuple[int, int, Sequence[str]]
"""Positions of each item, items, and the outputs that are fetched."""


def batch_limits(encoder: AnyEncoder, settings: Settings, in_flight: int) -> BatchLimits:
    """With so many batches `in_flight` at a time."""
    attention = encoder.manifest.attention
    threads, most = settings.intra_op_threads(), settings.max_batch_tokens
    if encoder.provider == CPU:
        most = min(most, CPU_BATCH_TOKENS * threads // side_by_side(threads))
    workspace = ATTENTION_WORKSPACE_BYTES // in_flight
    return BatchLimits(tokens=most, cells=workspace // (FLOAT_BYTES * attention.matrices) if attention else 0)


def warm_up(encoder: AnyEncoder, limits: BatchLimits, workspace: int) -> float:
    """Run the largest batches first, so that ONNX Runtime's arena has its final size, then the smallest.

    An item's attention may take `workspace` bytes. Returns the seconds that the longest run took.
    """
    # Said before, for a process that the kernel ends for want of memory has no last words.
    logger.info("warming up %s with items of %d positions", encoder.name, encoder.max_positions)
    attention = encoder.manifest.attention
    heads = tuple(range(min(attention.heads))) if attention else ()
    took = []
    for alone in (True, False):
        for positions, items, outputs in _runs(encoder, heads, limits, workspace):
            began = time.monotonic()
            encoder.run([encoder.stand_in(positions)] * items, outputs, heads, alone=alone)
            took.append(time.monotonic() - began)
    return max(took)


def _runs(encoder: AnyEncoder, heads: tuple[int, ...], limits: BatchLimits, workspace: int) -> Iterator[Run]:
    longest, everything = encoder.max_positions, encoder.manifest.graph.outputs
    most = max(1, limits.tokens // longest)
    yield longest, most, VECTORS
    if heads:
        raw = AttentionQuery(reduce="raw", query="all", heads=heads).plan(encoder.manifest)
        rollout = AttentionQuery().plan(encoder.manifest)
        for plan, outputs in ((rollout, (tensors.EMBEDDING, *rollout.outputs)), (raw, everything)):
            # A picture is as long as it is, or its attention is not computed at all.
            positions = plan.longest(longest, workspace)
            if positions == longest or (positions and encoder.manifest.text):
                yield positions, max(1, min(most, limits.cells // positions**2)), outputs
    yield 1, 1, EMBEDDING_ONLY
