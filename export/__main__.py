"""`python -m export SOURCE --name NAME`: exit code 0 only for a sealed artifact."""

import argparse
import re
import signal
import sys
from pathlib import Path

from export.errors import ExportError
from export.pipeline import export
from models.contract.manifest import NAME_PATTERN, Manifest, Parity


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # As an exception it unwinds, so that what was staged goes too.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    target = options.artifacts / options.name
    try:
        manifest = export(options.source, target, replace=options.replace)
    except ExportError as error:
        print(f"not exported: {error}", file=sys.stderr)
        return 1
    print(report(manifest, target))
    return 0


def report(manifest: Manifest, target: Path) -> str:
    """What was sealed, for a person."""
    megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
    graphs = ", ".join(
        f"{name} {graph.attention_operators} fused attentions" for name, graph in manifest.graphs.items()
    )
    return "\n".join(
        (
            f"sealed {target} ({megabytes:.0f} MB)",
            f"  {manifest.architecture}, {_takes(manifest)}, {manifest.embedding.width} wide, "
            f"{manifest.embedding.pooling} pooling, {_attention(manifest)}, {manifest.precision}",
            f"  {graphs}",
            f"  against the original on {manifest.parity.items} items: {_figures(manifest.parity)}",
        )
    )


def _takes(manifest: Manifest) -> str:
    if manifest.text is not None:
        return f"text of {manifest.text.max_tokens} tokens"
    image = manifest.image
    return "" if image is None else f"images of {image.columns_px} x {image.rows_px} px"


def _attention(manifest: Manifest) -> str:
    if manifest.attention is None:
        return "no attention"
    heads = manifest.attention.heads
    return f"{len(heads)} layers of {'/'.join(str(count) for count in dict.fromkeys(heads))} heads"


def _figures(parity: Parity) -> str:
    names = {"embedding": "embedding_max_abs", "weights": "weights_max_abs", "relevance": "relevance_max_abs",
             "by neighbours": "neighbours_max_abs"}  # fmt: skip
    found = {said: getattr(parity, name) for said, name in names.items()}
    differences = [f"{said} {value:.1e}" for said, value in found.items() if value is not None]
    return f"cosine >= {parity.embedding_min_cosine:.7f}, {', '.join(differences)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description="Export a trained encoder to an artifact.")
    parser.add_argument(
        "source", type=Path, help="a directory: Hugging Face's, sentence-transformers', or a checkpoint of ours"
    )
    parser.add_argument("--name", type=_name, required=True, help="the model's name, and its directory's")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="where artifacts live (artifacts)")
    parser.add_argument("--replace", action="store_true", help="replace an artifact of the same name")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("letters, digits, '.', '_' and '-' alone, at most 100 of them")
    return text


if __name__ == "__main__":
    sys.exit(main())
