"""What the graph of an artifact costs: padding, precision, attention, memory. No HTTP, no engine.

Batches are as the engine makes them: generated prose, sorted by length, up to so many tokens.

Letters: b items, s longest item, t tokens of all items.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.rounds import medians_ms
from export.precision.prose import texts
from models.contract import tensors
from models.contract.arrays import Data, Ints
from models.contract.artifact import GRAPH_FILE
from models.contract.manifest import Manifest
from models.contract.packing import pack
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.session import Session

BATCH_TOKENS = 1024
TEXTS = 192
ROUNDS = 15
LONG_TOKENS = 237

Feeds = Mapping[str, Data]


def precision(full: Path, reduced: Path, *, threads: int) -> dict[str, float]:
    """Prose of mixed lengths through both: ms for all of it, and how many times faster the reduced one is."""
    encoders = {"fp32": _open(full, threads), "int8": _open(reduced, threads)}
    items = _items(encoders["fp32"])
    batches = list(_batches(items))
    took = medians_ms({name: _all(encoder, batches) for name, encoder in encoders.items()}, rounds=ROUNDS)
    tokens = sum(map(len, items)) / len(items)
    return {"tokens_per_text": tokens, **_ms(took), "int8_times_faster": took["fp32"] / took["int8"]}


def padding(artifact: Path, *, threads: int) -> dict[str, float]:
    """A batch half full of padding, with its padding through every layer and without."""
    spec = Manifest.read(artifact).graph
    session = Session(artifact / GRAPH_FILE, spec, device="cpu", threads=threads)
    rng = np.random.default_rng(0)
    lengths = np.linspace(8, 248, 16).astype(int)
    items = [rng.integers(1000, 20_000, n) for n in lengths]
    feeds = {"packed": pack(items), "padded": padded(items)}
    answers = {name: session.run([tensors.EMBEDDING], fed)[tensors.EMBEDDING] for name, fed in feeds.items()}
    took = medians_ms({name: _run(session, fed) for name, fed in feeds.items()}, rounds=ROUNDS)
    return {
        "fill": float(lengths.sum() / (len(lengths) * lengths.max())),
        **_ms(took),
        "packed_times_faster": took["padded"] / took["packed"],
        "largest_difference": float(np.abs(answers["packed"] - answers["padded"]).max()),
    }


def attention(artifact: Path, *, threads: int) -> dict[str, float]:
    """One long text: what each kind of attention costs beside the embedding alone."""
    spec = Manifest.read(artifact).graph
    session = Session(artifact / GRAPH_FILE, spec, device="cpu", threads=threads)
    fed = pack([np.random.default_rng(0).integers(1000, 20_000, LONG_TOKENS)])
    asked = {"embedding": (), "rollout": (tensors.pooled("rollout"),), "rollout_matrix": (tensors.matrix("rollout"),),
             "max": (tensors.pooled("max"),), "raw_one_layer": (tensors.weights(0),)}  # fmt: skip
    took = medians_ms({name: _run(session, fed, *outputs) for name, outputs in asked.items()}, rounds=4 * ROUNDS)
    return _ms(took) | {f"{name}_ratio": took[name] / took["embedding"] for name in asked if name != "embedding"}


def memory(artifact: Path, *, threads: int) -> dict[str, float]:
    """Resident memory that the model adds to the process when it embeds, and when it tells attention as well.

    To be run in a process of its own, before anything else is.
    """
    import onnxruntime  # noqa: F401  # what the library itself takes is no model's

    items = [np.arange(1, 65)] * 8
    before = _resident_bytes()
    encoder = _open(artifact, threads)
    encoder.run(items)
    one = _resident_bytes() - before
    encoder.run(items, (tensors.EMBEDDING, tensors.pooled("rollout")))
    both = _resident_bytes() - before
    return {"embedding_mb": one / 1e6, "with_attention_mb": both / 1e6, "ratio": both / one}


def padded(items: list[Ints]) -> dict[str, Ints]:
    """The feeds of a batch whose padding goes through every layer, as in a graph that knows no packing."""
    s = max(map(len, items))
    cells = np.arange(len(items) * s)
    return {
        "input_ids": np.concatenate([np.pad(item, (0, s - len(item))) for item in items]),
        "position_ids": np.tile(np.arange(s), len(items)),
        "pack_index": cells,
        "unpack_index": cells.reshape(len(items), s),
        "lengths": np.array([len(item) for item in items]),
    }


def _open(artifact: Path, threads: int) -> TextEncoder:
    encoder = open_encoder(artifact, device="cpu", threads=threads)
    assert isinstance(encoder, TextEncoder), "these figures are of texts"
    return encoder


def _items(encoder: TextEncoder) -> list[Ints]:
    return sorted((tokens.ids for tokens in encoder.prepare(texts(TEXTS, "gate", seed=1))), key=len)


def _batches(items: list[Ints]) -> Iterator[list[Ints]]:
    batch: list[Ints] = []
    for item in items:
        if batch and sum(map(len, batch)) + len(item) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def _all(encoder: TextEncoder, batches: list[list[Ints]]) -> Callable[[], object]:
    return lambda: [encoder.run(batch) for batch in batches]


def _run(session: Session, feeds: Feeds, *observed: str) -> Callable[[], object]:
    return lambda: session.run([tensors.EMBEDDING, *observed], feeds)


def _ms(took: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in took.items()}


def _resident_bytes() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
