"""BentoML service with BentoML's own batching around the same encoder, for comparison
(docs/adr/0012-dynamic-batching.md).

`bentoml serve bench.bentoml_service:BentoMLBatching`, with the artifact's directory in BENCH_ARTIFACT.
"""

import os
from pathlib import Path

import bentoml
import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats
from service.cpu import available_cpus
from service.runtime.encoder import TextEncoder, open_encoder

MAX_BATCH_SIZE = 32
MAX_LATENCY_MS = 60_000


@bentoml.service(name="batchable", workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class BentoMLBatching:
    """Texts to embeddings: as many texts in a batch as have come, whatever their lengths."""

    def __init__(self) -> None:
        encoder = open_encoder(Path(os.environ["BENCH_ARTIFACT"]), device="cpu", threads=available_cpus())
        if not isinstance(encoder, TextEncoder):
            raise TypeError("the comparison requires a text model")
        self._encoder = encoder

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH_SIZE, max_latency_ms=MAX_LATENCY_MS)
    def embed(self, texts: list[str]) -> list[Floats]:
        """One embedding a text."""
        items = [item.data for item in self._encoder.preprocess(texts)]
        return list(np.asarray(self._encoder.postprocess(self._encoder.run(items)[tensors.OUTPUT])))
