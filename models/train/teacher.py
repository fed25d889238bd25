"""Caption vectors of the frozen text encoder: the targets of training.

Letters: n captions, e width.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.graph_inputs import pack
from models.artifact.specs import TextSpec
from models.packed import PackedLayout, sdpa_attention
from models.preprocess.text import TextPreprocessor
from models.pretrained.errors import PretrainedError
from models.pretrained.loading import read_config
from models.pretrained.text import PretrainedTextEncoder
from models.train.errors import TeacherError

BATCH_SIZE = 256
MAX_TOKENS = 64
"""Maximum tokens of a caption; captions have about 20."""


class Teacher:
    """BERT in `directory`, mean-pooled like sentence-transformers' all-MiniLM models. Raises TeacherError."""

    def __init__(self, directory: Path) -> None:
        tokenizer = directory / TOKENIZER_FILE
        if not tokenizer.is_file():
            raise TeacherError(f"{directory} holds no text encoder: it has no {TOKENIZER_FILE}")
        try:
            config = read_config(directory)
            if config.model_type != "bert":
                raise TeacherError(f"the teacher must be a BERT, {directory} holds a {config.model_type}")
            self._encoder = PretrainedTextEncoder(directory, config.model_type, "mean")
        except PretrainedError as error:
            raise TeacherError(str(error)) from error
        self.embedding_dim = self._encoder.embedding_dim
        limits = TextSpec(max_tokens=MAX_TOKENS, vocab_size=config.vocab_size, position_offset=0)
        self._tokenize = TextPreprocessor(tokenizer.read_text(encoding="utf-8"), limits)

    @torch.no_grad()
    def embed(self, captions: list[str]) -> Tensor:
        """Return the embeddings `[n, e]`, rows of length 1."""
        vectors = []
        for start in tqdm(range(0, len(captions), BATCH_SIZE), desc="embed the captions", unit="batch"):
            tokens = self._tokenize(captions[start : start + BATCH_SIZE])
            inputs = {name: torch.from_numpy(array) for name, array in pack([item.ids for item in tokens]).items()}
            layout = PackedLayout(inputs["pack_index"], inputs["unpack_index"], inputs["lengths"], sdpa_attention)
            vectors.append(self._encoder(inputs["input_ids"], inputs["position_ids"], layout))
        return functional.normalize(torch.cat(vectors), dim=1)
