"""Do the graphs answer as the trained original does? Measured before sealing, never assumed.

The original runs in float64, one item at a time and unpadded, with `transformers`' own eager attention. The graphs
run the same items packed into ragged batches, forwards and backwards, at sizes that tracing never saw.

Letters: b items, n tokens of one item, s longest item, h heads, l layers, e width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from export.errors import ParityError
from export.source import Source
from models.contract import tensors
from models.contract.arrays import Floats, Ints
from models.contract.artifact import ATTEND_GRAPH, EMBED_GRAPH
from models.contract.manifest import Parity
from models.contract.packing import pack
from models.pooling import pool
from models.pretrained import load
from models.relevance import relevance

Outputs = dict[str, Floats]

LIMITS = {
    "embedding_max_abs": 1e-5,
    "weights_max_abs": 1e-5,
    "relevance_max_abs": 1e-5,
    "neighbours_max_abs": 1e-5,
}
MIN_COSINE = 0.99999


@dataclass(frozen=True)
class Expected:
    """What the original says of one item of n tokens."""

    embedding: Floats  # [e], length 1
    weights: Floats  # [l, h, n, n]
    matrices: dict[tensors.Reduction, Floats]  # [n, n]
    pooled: dict[tensors.Reduction, Floats]  # [n]


def measure(directory: Path, source: Source, *, seed: int = 0) -> Parity:
    """Run both graphs in `directory` against the original. Raises ParityError past a limit."""
    batches = list(_ragged_batches(source, np.random.default_rng(seed)))
    items = [item for batch in batches for item in batch]
    expected = _Original(source).expect_all(items)
    embed, attend = (_open(directory / name) for name in (EMBED_GRAPH, ATTEND_GRAPH))
    alone = [_unit(_run(embed, [item], source)[tensors.EMBEDDING][0]) for item in items]
    worst = dict.fromkeys(LIMITS, 0.0)
    cosine = 1.0
    start = 0
    for batch in batches:
        for order in (slice(None), slice(None, None, -1)):
            members = list(range(start, start + len(batch)))[order]
            fused, seen = (_run(session, [items[i] for i in members], source) for session in (embed, attend))
            for row, i in enumerate(members):
                vectors = [_unit(out[tensors.EMBEDDING][row]) for out in (fused, seen)]
                # numpy's minimum and maximum hand NaN on, Python's lose it.
                cosine = float(np.min([cosine, *(vector @ expected[i].embedding for vector in vectors)]))
                found = _differences(vectors, seen, row, expected[i], alone[i])
                worst = {name: float(np.maximum(worst[name], found[name])) for name in worst}
        start += len(batch)
    parity = Parity(items=len(items), embedding_min_cosine=min(cosine, 1.0), **worst)
    _judge(parity)
    return parity


def _ragged_batches(source: Source, rng: np.random.Generator) -> Iterator[list[Ints]]:
    """Batches of 1 to 16 items of 1 to `max_tokens` tokens, of ids from the whole vocabulary."""
    longest = source.max_tokens
    for lengths in ([1], [3], [min(200, longest), 1, min(64, longest)], [longest], [7] * 9, rng.integers(1, 65, 16)):
        yield [rng.integers(0, source.vocabulary_size, min(int(n), longest)) for n in lengths]


class _Original:
    """The trained encoder in float64 with its own eager attention."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._model = load(source.directory, attention="eager").double()

    def expect_all(self, items: Sequence[Ints]) -> list[Expected]:
        return [self._expect(torch.from_numpy(item)) for item in items]

    @torch.no_grad()
    def _expect(self, ids: torch.Tensor) -> Expected:
        positions = torch.arange(len(ids)) + self._source.position_offset
        out = self._model(input_ids=ids[None], position_ids=positions[None], output_attentions=True)
        real = torch.ones(1, len(ids), dtype=torch.bool)
        matrices = {r: relevance(out.attentions, r) for r in tensors.REDUCTIONS}
        return Expected(
            embedding=_unit(pool(out.last_hidden_state, real, self._source.pooling)[0].numpy()),
            weights=torch.cat(out.attentions).numpy(),
            matrices={r: matrix[0].numpy() for r, matrix in matrices.items()},
            pooled={r: pool(matrix, real, self._source.pooling)[0].numpy() for r, matrix in matrices.items()},
        )


def _differences(vectors: list[Floats], seen: Outputs, row: int, want: Expected, alone: Floats) -> dict[str, float]:
    """Largest absolute differences of one item, by the names of `LIMITS`."""
    n = want.weights.shape[-1]
    weights = [seen[tensors.weights(layer)][row, :, :n] for layer in range(len(want.weights))]
    padding = [_gap(layer[..., n:], np.float32(0)) for layer in weights]
    observed = [_gap(layer[..., :n], want.weights[i]) for i, layer in enumerate(weights)]
    pooled = [_gap(seen[tensors.pooled(r)][row, :n], want.pooled[r]) for r in tensors.REDUCTIONS]
    matrices = [_gap(seen[tensors.matrix(r)][row, :n, :n], want.matrices[r]) for r in tensors.REDUCTIONS]
    return {
        "embedding_max_abs": _worst([_gap(vector, want.embedding) for vector in vectors]),
        "weights_max_abs": _worst(padding + observed),
        "relevance_max_abs": _worst(pooled + matrices),
        "neighbours_max_abs": _worst([_gap(vector, alone) for vector in vectors]),
    }


def _judge(parity: Parity) -> None:
    # Negated comparisons, so that NaN fails too.
    failed = [f"{name} {value:.1e} > {LIMITS[name]:.0e}" for name, value in parity if name in LIMITS
              and not value <= LIMITS[name]]  # fmt: skip
    if not parity.embedding_min_cosine >= MIN_COSINE:
        failed.append(f"embedding_min_cosine {parity.embedding_min_cosine} < {MIN_COSINE}")
    if failed:
        raise ParityError(f"the graphs disagree with the original: {'; '.join(failed)}")


def _open(graph: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, items: Sequence[Ints], source: Source) -> Outputs:
    names = [output.name for output in session.get_outputs()]
    feeds = pack(items, position_offset=source.position_offset)
    return dict(zip(names, session.run(names, feeds), strict=True))


def _gap(a: Floats, b: Floats | np.float32) -> float:
    """Largest absolute difference; NaN if there is one."""
    return float(np.abs(a - b).max(initial=0.0))


def _worst(gaps: Sequence[float]) -> float:
    return float(np.max(gaps))


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit
