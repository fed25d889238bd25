"""`python -m export SOURCE --name NAME`: exit code 0 only for a sealed artifact.

`python -m export inspect ARTIFACT` describes an artifact, `python -m export verify ARTIFACT SOURCE` compares it with
its source again. torch takes seconds to import: the functions that need it import it, after the arguments are checked.
"""

import argparse
import re
import signal
import sys
from pathlib import Path
from typing import get_args

from export.errors import ExportError
from export.hub import resolve_source
from export.options import ExportOptions
from export.progress import StepProgress
from export.seal import require_replaceable
from export.stop_signals import StopSignals
from models.artifact.specs import NAME_PATTERN, Device, Modality, Pooling, Precision, Task


def main(argv: list[str] | None = None) -> int:
    """Export a source, or run `inspect` or `verify` on an artifact."""
    arguments = sys.argv[1:] if argv is None else argv
    command = {"inspect": _inspect, "verify": _verify}.get(arguments[0] if arguments else "")
    try:
        print(command(arguments[1:]) if command else _export(arguments))
    except ExportError as error:
        print(f"{'export failed: ' * (command is None)}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{'export ' * (command is None)}interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _export(arguments: list[str]) -> str:
    args = build_parser().parse_args(arguments)
    artifact_dir, options = args.artifacts / args.name, _options(args)
    require_replaceable(artifact_dir, replace=args.replace)
    stop_signals = StopSignals()
    from export.pipeline import count_steps, export
    from export.report import format_report

    progress = StepProgress(count_steps(options), before=stop_signals.check)
    manifest = export(resolve_source(args.source), artifact_dir, options, replace=args.replace, progress=progress)
    return f"sealed {artifact_dir}\n{format_report(manifest)}"


def _inspect(arguments: list[str]) -> str:
    parser = argparse.ArgumentParser(prog="python -m export inspect", description="Describe an artifact.")
    parser.add_argument("artifact", type=Path)
    directory = parser.parse_args(arguments).artifact
    from export.inspection import inspect
    from export.report import format_report

    return f"{directory}: all files match their digests\n{format_report(inspect(directory))}"


def _verify(arguments: list[str]) -> str:
    parser = argparse.ArgumentParser(
        prog="python -m export verify", description="Compare an artifact with its source model again."
    )
    parser.add_argument("artifact", type=Path)
    parser.add_argument("source", help="what it was exported from: a directory, or a model's id on the hub")
    args = parser.parse_args(arguments)
    from export.inspection import verify
    from export.report import format_parity

    figures = verify(args.artifact, resolve_source(args.source))
    return f"{args.artifact} answers as {args.source} does: {format_parity(figures)}"


def _options(args: argparse.Namespace) -> ExportOptions:
    return ExportOptions(
        modality=args.modality,
        precision=args.precision,
        device=args.device,
        pooling=args.pooling,
        normalize=args.normalize,
        max_tokens=args.max_tokens,
        space=args.space,
        allow_lossy=args.allow_lossy,
        task=args.task,
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of an export."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export a trained encoder to an artifact.",
        epilog="python -m export inspect ARTIFACT and python -m export verify ARTIFACT SOURCE check an existing "
        "artifact. To export a directory of that name, pass ./inspect or ./verify.",
    )
    add = parser.add_argument
    add(
        "source",
        help="local model directory (Hugging Face, sentence-transformers or Headlight checkpoint) or Hub id",
    )
    add("--name", type=_model_name, required=True, help="name of the model and of its artifact directory")
    add("--artifacts", type=Path, default=Path("artifacts"), help="directory of all artifacts (default: artifacts)")
    add("--replace", action="store_true", help="replace an artifact of the same name")
    add("--modality", choices=get_args(Modality), help="which tower of a two-tower model to export")
    add(
        "--task",
        choices=get_args(Task),
        help="what the model answers with (default: as it was trained); embed leaves a head out",
    )
    add("--precision", choices=get_args(Precision), help="fp32 (default), fp16 for CUDA, int8 for CPU")
    add(
        "--device",
        choices=get_args(Device),
        help="target device; cuda implies fp16 unless --precision is given",
    )
    add("--pooling", choices=get_args(Pooling), help="pooling to use instead of the source's")
    add(
        "--normalize",
        action=argparse.BooleanOptionalAction,
        help="L2-normalize embeddings (default: as the source does)",
    )
    add("--max-tokens", type=_positive_int, help="truncate texts at this many tokens (at most the source's limit)")
    add(
        "--space",
        type=_model_name,
        help="name of the embedding space; models with the same one are comparable (default: NAME)",
    )
    add("--allow-lossy", action="store_true", help="export even if the accuracy check fails (figures are recorded)")
    return parser


def _model_name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("must be at most 100 letters, digits, '.', '_' or '-'")
    return text


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a positive integer")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
