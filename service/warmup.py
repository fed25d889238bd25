"""Batch limits of a model, and its warm-up runs: the largest batches and the smallest."""

import logging
import time
from collections.abc import Iterator, Sequence

from models.artifact import tensors
from service.cpu import concurrent_batches
from service.engine.plan import FLOAT_BYTES, AttentionOptions
from service.engine.waiting_queue import BatchLimits
from service.runtime.encoder import EMBEDDING_AND_TOKENS, EMBEDDING_ONLY, AnyEncoder
from service.runtime.providers import CPU
from service.settings import Settings

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 256
"""For each thread of a batch. Past this a CPU batch gains no throughput (its activations leave the cache) and delays
its neighbors; `max_batch_tokens` can only lower it."""

ATTENTION_WORKSPACE_BYTES = 256 * 2**20
"""Weights that the batches in flight may hold while they run, over all layers and heads. An item that comes alone may
hold what `Settings.attention_workspace_bytes` says."""

WarmupCase = tuple[int, int, Sequence[str]]
"""Positions of each item, items, and the outputs that are fetched."""


def batch_limits(encoder: AnyEncoder, settings: Settings, in_flight: int) -> BatchLimits:
    """Return the limits of one batch when `in_flight` batches run concurrently."""
    attention = encoder.manifest.attention
    threads, max_tokens = settings.intra_op_threads(), settings.max_batch_tokens
    if encoder.provider == CPU:
        max_tokens = min(max_tokens, CPU_BATCH_TOKENS * threads // concurrent_batches(threads))
    workspace = ATTENTION_WORKSPACE_BYTES // in_flight
    return BatchLimits(
        tokens=max_tokens, attention_elements=workspace // (FLOAT_BYTES * attention.num_matrices) if attention else 0
    )


def warm_up(encoder: AnyEncoder, limits: BatchLimits, workspace: int) -> float:
    """Run the largest batches first, so that ONNX Runtime's arena has its final size, then the smallest.

    An item's attention may take `workspace` bytes. Returns the seconds that the longest run took.
    """
    # Said before, for a process that the kernel ends for want of memory has no last words.
    logger.info("warming up: model=%s max_positions=%d", encoder.name, encoder.max_positions)
    attention = encoder.manifest.attention
    heads = tuple(range(min(attention.heads))) if attention else ()
    durations_s = []
    for exclusive in (True, False):
        for positions, items, outputs in _warmup_cases(encoder, heads, limits, workspace):
            started_at = time.monotonic()
            encoder.run([encoder.dummy_input(positions)] * items, outputs, heads, exclusive=exclusive)
            durations_s.append(time.monotonic() - started_at)
    return max(durations_s)


def _warmup_cases(
    encoder: AnyEncoder, heads: tuple[int, ...], limits: BatchLimits, workspace: int
) -> Iterator[WarmupCase]:
    max_positions, all_outputs = encoder.max_positions, encoder.manifest.graph.outputs
    max_items = max(1, limits.tokens // max_positions)
    yield max_positions, max_items, EMBEDDING_AND_TOKENS
    if heads:
        raw = AttentionOptions(reduce="raw", query="all", heads=heads).plan(encoder.manifest)
        rollout = AttentionOptions().plan(encoder.manifest)
        for plan, outputs in ((rollout, (tensors.EMBEDDING, *rollout.outputs)), (raw, all_outputs)):
            # A picture is as long as it is, or its attention is not computed at all.
            positions = plan.max_positions(max_positions, workspace)
            if positions == max_positions or (positions and encoder.manifest.text):
                yield positions, max(1, min(max_items, limits.attention_elements // positions**2)), outputs
    yield 1, 1, EMBEDDING_ONLY
