"""Command `python -m models.reranker`: train the cross-encoder, evaluate it, and write it as a checkpoint."""

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch

from models.reranker.evaluation import evaluate, held_out_examples
from models.reranker.training import TOKENIZER_FILE, Recipe, train
from models.train.__main__ import EVALUATION_FILE, TEACHER
from models.train.errors import TrainError
from models.train.teacher import Teacher

NAME = "facts-reranker"
TOKENIZER_CONFIG = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        teacher = Teacher(options.teacher)
    except TrainError as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    recipe = replace(Recipe(), steps=options.steps or Recipe.steps)
    model, vocabulary = train(recipe, options.teacher)
    found = evaluate(model, vocabulary, teacher, held_out_examples())
    options.out.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(options.out)
    shutil.copyfile(options.teacher / TOKENIZER_FILE, options.out / TOKENIZER_FILE)
    limit = {"model_max_length": recipe.max_tokens}
    (options.out / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG | limit, indent=2) + "\n")
    report = json.dumps(found, indent=2)
    (options.out / EVALUATION_FILE).write_text(report + "\n", encoding="utf-8")
    print(f"trained {options.out}\n{report}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.reranker", description="Train a small cross-encoder.")
    parser.add_argument(
        "--out", type=Path, default=Path("runs") / NAME, help=f"output directory (default: runs/{NAME})"
    )
    parser.add_argument(
        "--teacher", type=Path, default=TEACHER, help="text encoder whose word embeddings are projected"
    )
    parser.add_argument("--steps", type=int, help=f"training steps (default: {Recipe.steps})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
