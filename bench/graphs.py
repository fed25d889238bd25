"""Cost of an artifact's graph: padding, precision, attention, memory. Without HTTP and engine.

Batches are formed as in the engine: generated prose, sorted by length, at most BATCH_TOKENS tokens each.

Letters: b items, s longest item, t tokens of all items.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.timing import medians_ms
from models.artifact import tensors
from models.artifact.arrays import InputArray, Ints
from models.artifact.artifact_files import GRAPH_FILE
from models.artifact.graph_inputs import pack
from models.artifact.manifest import Manifest
from models.synthetic_corpus import generate_texts
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.session import Session

BATCH_TOKENS = 1024
TEXT_COUNT = 192
ROUNDS = 15
LONG_TOKENS = 237

Feeds = Mapping[str, InputArray]


def precision(full: Path, reduced: Path, *, threads: int) -> dict[str, float]:
    """Prose of mixed lengths through both: ms for all of it, and how many times faster the reduced one is."""
    encoders = {"fp32": _open(full, threads), "int8": _open(reduced, threads)}
    items = _items(encoders["fp32"])
    batches = list(_form_batches(items))
    durations_ms = medians_ms(
        {name: _run_batches(encoder, batches) for name, encoder in encoders.items()}, rounds=ROUNDS
    )
    tokens = sum(map(len, items)) / len(items)
    return {
        "tokens_per_text": tokens,
        **_with_ms_suffix(durations_ms),
        "int8_times_faster": durations_ms["fp32"] / durations_ms["int8"],
    }


def padding(artifact: Path, *, threads: int) -> dict[str, float]:
    """Measure a batch half full of padding, with the padding computed in every layer and without."""
    spec = Manifest.read(artifact).graph
    session = Session(artifact / GRAPH_FILE, spec, device="cpu", threads=threads)
    rng = np.random.default_rng(0)
    lengths = np.linspace(8, 248, 16).astype(int)
    items = [rng.integers(1000, 20_000, n) for n in lengths]
    feeds = {"packed": pack(items), "padded": pad_batch(items)}
    outputs = {name: session.run([tensors.OUTPUT], fed)[tensors.OUTPUT] for name, fed in feeds.items()}
    durations_ms = medians_ms({name: _run_feeds(session, fed) for name, fed in feeds.items()}, rounds=ROUNDS)
    return {
        "fill": float(lengths.sum() / (len(lengths) * lengths.max())),
        **_with_ms_suffix(durations_ms),
        "packed_times_faster": durations_ms["padded"] / durations_ms["packed"],
        "largest_difference": float(np.abs(outputs["packed"] - outputs["padded"]).max()),
    }


def attention(artifact: Path, *, threads: int) -> dict[str, float]:
    """Measure the cost of each kind of attention on one long text, compared with embedding only."""
    spec = Manifest.read(artifact).graph
    session = Session(artifact / GRAPH_FILE, spec, device="cpu", threads=threads)
    feeds = pack([np.random.default_rng(0).integers(1000, 20_000, LONG_TOKENS)])
    outputs_by_kind = {
        "embedding": (),
        "rollout": (tensors.pooled_reduction("rollout"),),
        "rollout_matrix": (tensors.reduction_matrix("rollout"),),
        "max": (tensors.pooled_reduction("max"),),
        "raw_one_layer": (tensors.layer_weights(0),),
    }
    durations_ms = medians_ms(
        {name: _run_feeds(session, feeds, *outputs) for name, outputs in outputs_by_kind.items()}, rounds=4 * ROUNDS
    )
    return _with_ms_suffix(durations_ms) | {
        f"{name}_ratio": durations_ms[name] / durations_ms["embedding"]
        for name in outputs_by_kind
        if name != "embedding"
    }


def memory(artifact: Path, *, threads: int) -> dict[str, float]:
    """Resident memory that the model adds to the process when it embeds, and when it tells attention as well.

    To be run in a process of its own, before anything else is.
    """
    import onnxruntime  # noqa: F401  # what the library itself takes is no model's

    items = [np.arange(1, 65)] * 8
    before = _resident_bytes()
    encoder = _open(artifact, threads)
    encoder.run(items)
    embedding_bytes = _resident_bytes() - before
    encoder.run(items, (tensors.OUTPUT, tensors.pooled_reduction("rollout")))
    with_attention_bytes = _resident_bytes() - before
    return {
        "embedding_mb": embedding_bytes / 1e6,
        "with_attention_mb": with_attention_bytes / 1e6,
        "ratio": with_attention_bytes / embedding_bytes,
    }


def pad_batch(items: list[Ints]) -> dict[str, Ints]:
    """Return the feeds of a batch whose padding goes through every layer, as in a graph without packing."""
    s = max(map(len, items))
    indices = np.arange(len(items) * s)
    return {
        "input_ids": np.concatenate([np.pad(item, (0, s - len(item))) for item in items]),
        "position_ids": np.tile(np.arange(s), len(items)),
        "pack_index": indices,
        "unpack_index": indices.reshape(len(items), s),
        "lengths": np.array([len(item) for item in items]),
    }


def _open(artifact: Path, threads: int) -> TextEncoder:
    encoder = open_encoder(artifact, device="cpu", threads=threads)
    assert isinstance(encoder, TextEncoder), "a text model is required"
    return encoder


def _items(encoder: TextEncoder) -> list[Ints]:
    return sorted((tokens.ids for tokens in encoder.preprocess(generate_texts(TEXT_COUNT, "gate", seed=1))), key=len)


def _form_batches(items: list[Ints]) -> Iterator[list[Ints]]:
    batch: list[Ints] = []
    for item in items:
        if batch and sum(map(len, batch)) + len(item) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def _run_batches(encoder: TextEncoder, batches: list[list[Ints]]) -> Callable[[], object]:
    return lambda: [encoder.run(batch) for batch in batches]


def _run_feeds(session: Session, feeds: Feeds, *attention_outputs: str) -> Callable[[], object]:
    return lambda: session.run([tensors.OUTPUT, *attention_outputs], feeds)


def _with_ms_suffix(durations_ms: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in durations_ms.items()}


def _resident_bytes() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
