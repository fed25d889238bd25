"""One served model without HTTP: texts to tokens, tokens to arrays. Import it to run in bulk.

Three stages, as a request passes them: `prepare` (any thread), `run` (the engine's thread), `finish` (any thread).
Letters: b items, n tokens of one item, e embedding width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats, Ints
from models.contract.artifact import ATTEND_GRAPH, EMBED_GRAPH, TOKENIZER_FILE, verify
from models.contract.manifest import Manifest
from models.contract.packing import pack
from models.preprocess.text import TextPreprocessor, Tokens
from service.runtime.session import Session

EMBEDDING_ONLY = (tensors.EMBEDDING,)
"""The outputs that need no attention, and so the fused graph."""


class Encoder:
    """A text encoder: two graphs of one artifact and its tokenizer."""

    def __init__(self, manifest: Manifest, preprocess: TextPreprocessor, embed: Session, attend: Session) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self._preprocess = preprocess
        self._embed = embed
        self._attend = attend

    @classmethod
    def open(cls, directory: Path, *, device: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1) -> Self:
        """Verify the artifact's digests and open it. Raises ArtifactError or ProviderUnavailable."""
        manifest = verify(directory)
        preprocess = TextPreprocessor(directory / TOKENIZER_FILE, max_tokens=manifest.text.max_tokens)
        embed = Session(directory / EMBED_GRAPH, manifest.graphs[EMBED_GRAPH], device=device, threads=threads)
        attend = Session(directory / ATTEND_GRAPH, manifest.graphs[ATTEND_GRAPH], device=device, threads=threads)
        return cls(manifest, preprocess, embed, attend)

    @property
    def providers(self) -> dict[str, str]:
        """Execution provider by graph, as the sessions report it."""
        return {"embed": self._embed.provider, "attend": self._attend.provider}

    def prepare(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize, cut to the model's limit."""
        return self._preprocess(texts)

    def run(self, items: Sequence[Ints], outputs: Sequence[str] = EMBEDDING_ONLY) -> dict[str, Floats]:
        """Run one batch of token ids, each `[n_i]`, and return the named outputs of `models.contract.tensors`.

        Rows are in the batch's order, padded to its longest item. Raises InferenceFailed when ONNX Runtime fails.
        """
        session = self._embed if tuple(outputs) == EMBEDDING_ONLY else self._attend
        return session.run(outputs, pack(items, position_offset=self.manifest.text.position_offset))

    def finish(self, embeddings: Floats, dimensions: int | None = None) -> Floats:
        """Keep the first `dimensions` of the pooled `[b, e]`, then scale to length 1 if the model does."""
        vectors = np.ascontiguousarray(embeddings[:, :dimensions])
        if self.manifest.embedding.normalize:
            # 1e-12: the bound that torch's normalize keeps a zero vector away from division by zero with.
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        return vectors
