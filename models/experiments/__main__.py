"""`python -m models.experiments [NAME...]`: run experiments, write their results and plots, say what came out."""

import argparse
import sys
import time
from pathlib import Path

from models.encoders.checkpoint import CheckpointError
from models.experiments import style
from models.experiments.catalogue import EXPERIMENTS
from models.experiments.document import DocumentError, fill, read_result
from models.experiments.experiment import IMAGE_MODEL, TEXT_MODEL, Setting
from models.experiments.training import QUICK, Bench, Effort, processes

DOCUMENT = Path("docs/attention.md")
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
        with processes(options.processes) as pool:
            setting = Setting(
                bench=Bench(QUICK) if options.quick else Bench(Effort(), pool),
                quick=options.quick,
                text_model=options.text_model,
                image_model=options.image_model if options.image_model.is_dir() else None,
            )
            for name in options.names or EXPERIMENTS:
                run(name, setting, options.out)
    except CheckpointError as error:
        print(f"not run: {error}", file=sys.stderr)
        return 1
    return 0


def run(name: str, setting: Setting, out: Path) -> None:
    """Run one experiment: its JSON and its plot go to `out`, what it says to stdout."""
    started = time.monotonic()
    print(f"== {name}", flush=True)
    experiment = EXPERIMENTS[name]
    result = experiment.measure(setting)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    style.save(experiment.draw(result), out / f"{name}.svg")
    print(f"{experiment.word(result)}\n({time.monotonic() - started:.0f} s)\n", flush=True)


def _write_docs(plots: Path) -> int:
    for name, experiment in EXPERIMENTS.items():
        style.save(experiment.draw(read_result(name, plots)), plots / f"{name}.svg")
    try:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(encoding="utf-8"), plots), encoding="utf-8")
    except DocumentError as error:
        print(f"not written: {error}", file=sys.stderr)
        return 1
    print(f"wrote the figures in {DOCUMENT}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.experiments", description="Answer questions on attention.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--out", type=Path, default=PLOTS, help="where results and plots go (docs/plots)")
    parser.add_argument("--quick", action="store_true", help="too little of everything: only shows that it runs")
    parser.add_argument("--processes", type=int, default=2, help="encoders trained side by side, a thread each (2)")
    parser.add_argument("--text-model", type=Path, default=TEXT_MODEL, help="a text encoder (the default model)")
    parser.add_argument("--image-model", type=Path, default=IMAGE_MODEL, help=f"a checkpoint of ours ({IMAGE_MODEL})")
    parser.add_argument("--write-docs", action="store_true", help="only draw and tell the results in --out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
