"""`python -m export SOURCE --name NAME`: exit code 0 only for a sealed artifact."""

import argparse
import re
import sys
from pathlib import Path

from export.errors import ExportError
from export.pipeline import export
from models.contract.manifest import NAME_PATTERN, Manifest


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
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
    parity = manifest.parity
    megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
    graphs = ", ".join(
        f"{name} {graph.attention_operators} fused attentions" for name, graph in manifest.graphs.items()
    )
    return "\n".join(
        (
            f"sealed {target} ({megabytes:.0f} MB)",
            f"  {manifest.architecture}, {manifest.embedding.width} wide, {manifest.embedding.pooling} pooling, "
            f"{manifest.attention.layers} layers x {manifest.attention.heads} heads, "
            f"{manifest.text.max_tokens} tokens, {manifest.precision}",
            f"  {graphs}",
            f"  against the original on {parity.items} items: cosine >= {parity.embedding_min_cosine:.7f}, "
            f"embedding {parity.embedding_max_abs:.1e}, weights {parity.weights_max_abs:.1e}, "
            f"relevance {parity.relevance_max_abs:.1e}, by neighbours {parity.neighbours_max_abs:.1e}",
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description="Export a trained encoder to an artifact.")
    parser.add_argument("source", type=Path, help="a local Hugging Face or sentence-transformers directory")
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
