"""The same encoder behind BentoML's own batching, to compare with (docs/adr/0012-our-own-batching.md).

`bentoml serve bench.batchable:Batchable`, with the artifact's directory in BENCH_ARTIFACT.
"""

import os
from pathlib import Path

import bentoml
import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats
from service.processors import available
from service.runtime.encoder import TextEncoder, open_encoder

MOST_TEXTS = 32
LONGEST_MS = 60_000


@bentoml.service(name="batchable", workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Batchable:
    """Texts to embeddings: as many texts in a batch as have come, whatever their lengths."""

    def __init__(self) -> None:
        encoder = open_encoder(Path(os.environ["BENCH_ARTIFACT"]), device="cpu", threads=available())
        if not isinstance(encoder, TextEncoder):
            raise TypeError("the comparison is of texts")
        self._encoder = encoder

    @bentoml.api(batchable=True, max_batch_size=MOST_TEXTS, max_latency_ms=LONGEST_MS)
    def embed(self, texts: list[str]) -> list[Floats]:
        """One embedding a text."""
        items = [item.data for item in self._encoder.prepare(texts)]
        return list(np.asarray(self._encoder.finish(self._encoder.run(items)[tensors.EMBEDDING])))
