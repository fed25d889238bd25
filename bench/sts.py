"""Command `python -m bench.sts URL MODEL FILE`: rank correlation of a served model on pairs of sentences.

FILE is a split of the STS benchmark (Cer et al., SemEval-2017 Task 1), which is not shipped: tab-separated values,
gzipped or not, with a first line that names the columns, `score`, `sentence1` and `sentence2` among them. The figure is
Spearman's correlation of the cosine with the score, times 100, as MTEB reports it.
"""

import argparse
import csv
import gzip
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.compare_server import fetch_embeddings
from bench.server import ServerError

COLUMNS = ("score", "sentence1", "sentence2")
BATCH_SIZE = 64
"""Texts per request."""


class TableError(Exception):
    """The file is not a table of scored pairs."""


@dataclass(frozen=True)
class Pairs:
    """n pairs of sentences, and what people said of their likeness `[n]`."""

    first: list[str]
    second: list[str]
    scores: npt.NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sts", description="Measure a served model on STS pairs.")
    parser.add_argument("url", help="base URL of the server")
    parser.add_argument("model", help="name of the model")
    parser.add_argument("file", type=Path, help="the table of pairs")
    args = parser.parse_args()
    try:
        pairs = read_pairs(args.file)
        correlation = measure(args.url, args.model, pairs)
    except (TableError, ServerError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(f"{args.model}: Spearman {100 * correlation:.2f} on {len(pairs.scores)} pairs")
    return 0


def read_pairs(path: Path) -> Pairs:
    """Read the table of pairs. Raises TableError."""
    try:
        text = gzip.decompress(data) if (data := path.read_bytes())[:2] == b"\x1f\x8b" else data
        rows = list(csv.DictReader(text.decode().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
        if len(rows) < 2:
            raise ValueError("fewer than two pairs")
        scores, first, second = ([row[column] for row in rows] for column in COLUMNS)
        return Pairs(first, second, np.array([float(score) for score in scores]))
    except (OSError, EOFError, zlib.error, KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path} is not a table with the columns {', '.join(COLUMNS)}: {error!r}") from error


def measure(url: str, model: str, pairs: Pairs) -> float:
    """Spearman's correlation. Raises ServerError."""
    texts = [*pairs.first, *pairs.second]
    batches = [texts[start : start + BATCH_SIZE] for start in range(0, len(texts), BATCH_SIZE)]
    vectors = np.concatenate([fetch_embeddings(f"{url.rstrip('/')}/v1/embeddings", model, batch) for batch in batches])
    return spearman(_cosines(*np.split(vectors.astype(np.float64), 2)), pairs.scores)


def spearman(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the rank correlation of two `[n]`; equal values get the mean of their ranks."""
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks


def _cosines(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    cosines: npt.NDArray[np.float64] = (first * second).sum(axis=1) / (
        np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    )
    return cosines


if __name__ == "__main__":
    sys.exit(main())
