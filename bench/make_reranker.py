"""`python -m bench.make_reranker FOLDER SOURCE`: the default text model with an untrained head of one label.

Its speed is a trained one's. Needs torch.
"""

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, BertForSequenceClassification


def main() -> None:
    folder, source = map(Path, sys.argv[1:])
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(source, num_labels=1)
    BertForSequenceClassification.from_pretrained(source, config=config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)


if __name__ == "__main__":
    main()
