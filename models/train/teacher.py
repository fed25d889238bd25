"""Caption vectors of the frozen text encoder: the targets of training.

Letters: n captions, e width.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from models.contract.artifact import TOKENIZER_FILE
from models.contract.packing import pack
from models.packed import Layout, torch_spelling
from models.preprocess.text import TextPreprocessor
from models.pretrained import PACKED, PackedTextEncoder, load

BATCH = 256
MAX_TOKENS = 64
"""A caption has about 20."""


@torch.no_grad()
def embed(captions: list[str], directory: Path) -> Tensor:
    """Embed each caption with the mean-pooled encoder in `directory`: `[n, e]`, rows of length 1."""
    encoder = PackedTextEncoder(load(directory, attention=PACKED), "mean")
    tokenize = TextPreprocessor(directory / TOKENIZER_FILE, max_tokens=MAX_TOKENS)
    vectors = []
    for start in tqdm(range(0, len(captions), BATCH), desc="embed the captions", unit="batch"):
        tokens = tokenize(captions[start : start + BATCH])
        inputs = {name: torch.from_numpy(array) for name, array in pack([item.ids for item in tokens]).items()}
        layout = Layout(inputs["pack_index"], inputs["unpack_index"], inputs["lengths"], torch_spelling)
        vectors.append(encoder(inputs["input_ids"], inputs["position_ids"], layout))
    return functional.normalize(torch.cat(vectors), dim=1)
