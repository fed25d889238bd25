"""Command `python -m models.experiments [NAME...]`: run experiments, write their results and plots."""

import argparse
import sys
import time
from pathlib import Path

from models.encoders.checkpoint import CheckpointError
from models.experiments import style
from models.experiments.document import DocumentError, fill, read_result
from models.experiments.experiment import IMAGE_MODEL, TEXT_MODEL, ExperimentContext
from models.experiments.registry import EXPERIMENTS
from models.experiments.training import QUICK, TrainingBudget, TrainingPool, process_pool

DOCUMENT = Path("docs/explanation/attention.md")
PLOTS = Path("docs/plots")


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"no experiment {unknown[0]!r}; known: {', '.join(EXPERIMENTS)}")
    if options.write_docs:
        return _write_docs(options.out)
    try:
        with process_pool(options.processes) as pool:
            context = ExperimentContext(
                training_pool=TrainingPool(QUICK) if options.quick else TrainingPool(TrainingBudget(), pool),
                quick=options.quick,
                text_model=options.text_model,
                image_model=options.image_model if options.image_model.is_dir() else None,
            )
            for name in options.names or EXPERIMENTS:
                run(name, context, options.out)
    except CheckpointError as error:
        print(f"experiments failed: {error}", file=sys.stderr)
        return 1
    return 0


def run(name: str, context: ExperimentContext, out: Path) -> None:
    """Run one experiment: write its JSON and its plot to `out`, and its summary to stdout."""
    started = time.monotonic()
    print(f"== {name}", flush=True)
    experiment = EXPERIMENTS[name]
    result = experiment.measure(context)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    style.save(experiment.draw(result), out / f"{name}.svg")
    print(f"{experiment.summarize(result)}\n({time.monotonic() - started:.0f} s)\n", flush=True)


def _write_docs(plots: Path) -> int:
    for name, experiment in EXPERIMENTS.items():
        style.save(experiment.draw(read_result(name, plots)), plots / f"{name}.svg")
    try:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(encoding="utf-8"), plots), encoding="utf-8")
    except DocumentError as error:
        print(f"docs not written: {error}", file=sys.stderr)
        return 1
    print(f"wrote the figures in {DOCUMENT}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.experiments", description="Answer questions on attention.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument(
        "--out", type=Path, default=PLOTS, help="output directory for results and plots (default: docs/plots)"
    )
    parser.add_argument("--quick", action="store_true", help="smoke test: minimal sizes, results are meaningless")
    parser.add_argument(
        "--processes", type=int, default=2, help="encoders trained concurrently, one thread each (default: 2)"
    )
    parser.add_argument("--text-model", type=Path, default=TEXT_MODEL, help="a text encoder (the default model)")
    parser.add_argument(
        "--image-model", type=Path, default=IMAGE_MODEL, help=f"a Headlight checkpoint (default: {IMAGE_MODEL})"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="only redraw plots and docs from the results in --out"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
