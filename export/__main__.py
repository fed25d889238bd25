"""`python -m export SOURCE --name NAME`: exit code 0 only for a sealed artifact.

`python -m export inspect ARTIFACT` says what one is, `python -m export verify ARTIFACT SOURCE` compares again.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import get_args

from export.errors import ExportError
from export.hub import local
from export.inspection import inspect, verify
from export.options import Options, Task
from export.pipeline import export, steps
from export.progress import Progress
from export.report import differences, report
from export.stopping import Stopping
from models.contract.specs import NAME_PATTERN, Device, Modality, Pooling, Precision


def main(arguments: list[str] | None = None) -> int:
    """Export, or `inspect` or `verify` what was exported."""
    words = sys.argv[1:] if arguments is None else arguments
    command = {"inspect": _inspect, "verify": _verify}.get(words[0] if words else "")
    try:
        print(command(words[1:]) if command else _export(words))
    except ExportError as error:
        print(f"{'not exported: ' * (command is None)}{error}", file=sys.stderr)
        return 1
    return 0


def _export(words: list[str]) -> str:
    given = _parser().parse_args(words)
    target, options = given.artifacts / given.name, _options(given)
    progress = Progress(steps(options), before=Stopping().check)
    manifest = export(local(given.source), target, options, replace=given.replace, progress=progress)
    return f"sealed {target}\n{report(manifest)}"


def _inspect(words: list[str]) -> str:
    parser = argparse.ArgumentParser(prog="python -m export inspect", description="Say what an artifact is.")
    parser.add_argument("artifact", type=Path)
    directory = parser.parse_args(words).artifact
    return f"{directory}, every file as sealed\n{report(inspect(directory))}"


def _verify(words: list[str]) -> str:
    parser = argparse.ArgumentParser(
        prog="python -m export verify", description="Measure an artifact against its source again."
    )
    parser.add_argument("artifact", type=Path)
    parser.add_argument("source", help="what it was exported from: a directory, or a model's id on the hub")
    given = parser.parse_args(words)
    figures = verify(given.artifact, local(given.source))
    return f"{given.artifact} answers as {given.source} does: {differences(figures)}"


def _options(given: argparse.Namespace) -> Options:
    return Options(
        modality=given.modality,
        precision=given.precision,
        device=given.device,
        pooling=given.pooling,
        normalize=given.normalize,
        max_tokens=given.max_tokens,
        space=given.space,
        lossy=given.allow_lossy,
        task=given.task,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export a trained encoder to an artifact.",
        epilog="python -m export inspect ARTIFACT and python -m export verify ARTIFACT SOURCE look at a sealed one. "
        "A source of such a name is ./inspect or ./verify.",
    )
    add = parser.add_argument
    add(
        "source",
        help="a directory: Hugging Face's, sentence-transformers', or a checkpoint of ours; or a model's id on the hub",
    )
    add("--name", type=_name, required=True, help="the model's name, and its directory's")
    add("--artifacts", type=Path, default=Path("artifacts"), help="where artifacts live (artifacts)")
    add("--replace", action="store_true", help="replace an artifact of the same name")
    add("--modality", choices=get_args(Modality), help="which tower of a source that has two")
    add("--task", choices=get_args(Task), help="export a reranker's or classifier's encoder for its pooled states")
    add("--precision", choices=get_args(Precision), help="fp32 (default), fp16 for CUDA, int8 for CPU")
    add(
        "--device",
        choices=get_args(Device),
        help="what it will be served on; cuda takes fp16 unless --precision is given",
    )
    add("--pooling", choices=get_args(Pooling), help="instead of the source's own")
    add("--normalize", action=argparse.BooleanOptionalAction, help="vectors of length 1, or as they come")
    add("--max-tokens", type=_positive, help="cut texts earlier than the source does")
    add("--space", type=_name, help="the name of the vectors that these can be compared with (NAME)")
    add("--allow-lossy", action="store_true", help="seal what misses the bar for its precision; the figures stay")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("letters, digits, '.', '_' and '-' alone, at most 100 of them")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
