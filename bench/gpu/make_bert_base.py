"""`python -m bench.gpu.make_bert_base FOLDER TOKENIZER`: an untrained text encoder of BERT-base's size, to be exported.

Its speed is a trained one's. Needs torch.
"""

import shutil
import sys
from pathlib import Path

import torch

from models.encoders import checkpoint, registry
from models.encoders.text import TextConfig


def main() -> None:
    folder, tokenizer = map(Path, sys.argv[1:])
    torch.manual_seed(0)
    checkpoint.save(registry.build(TextConfig()), folder)
    shutil.copy(tokenizer, folder / "tokenizer.json")


if __name__ == "__main__":
    main()
