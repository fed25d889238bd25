"""What a picture of attention shows, in words."""

from models.contract.manifest import Manifest
from models.preprocess.image import Picture
from models.preprocess.prepared import Prepared
from models.preprocess.tokens import Tokens
from service.dialects.aligned import pieces_of
from service.dialects.attending import AttentionRequest

_REDUCED = {
    "rollout": "attention rollout",
    "last": "attention of the last layer, mean of its heads",
    "mean": "attention, mean of layers and heads",
    "max": "attention, largest of layers and heads",
    "raw": "raw attention",
}

LONGEST_NAME = 24
"""Characters of a token, or word, that are told: a word can have a million."""

_ROOT = "One scale for all; colours go by the square root of the weight."
_APART = "Special tokens have their weights beside them; colours are for the others."


def caption(asked: AttentionRequest, manifest: Manifest, prepared: Prepared, *, panels: bool) -> list[str]:
    """Model, reduction and query, then what else one must know to read it; `panels` are of weights from 0."""
    query = asked.to_query().query
    parts = [manifest.name, _REDUCED[asked.reduce], *_chosen(asked), _whose(query, asked, prepared)]
    lines = [" \u00b7 ".join(parts)]
    if panels:
        lines.append(_ROOT)
    elif isinstance(prepared, Tokens) and any(start == end for _, start, end in prepared.pieces):
        lines.append(_APART)
    if isinstance(prepared, Picture):
        lines += _unseen(asked, manifest, prepared, panels=panels)
    return lines


def _chosen(asked: AttentionRequest) -> list[str]:
    """Of raw weights, the one layer and head, or how heads were combined: many have their names beside them."""
    found = []
    if asked.layers != "all" and len(asked.layers) == 1:
        found.append(f"layer {asked.layers[0]}")
    if isinstance(asked.heads, str):
        found += [] if asked.heads == "all" else [f"{asked.heads} of heads"]
    elif len(asked.heads) == 1:
        found.append(f"head {asked.heads[0]}")
    return found


def _whose(query: str | int, asked: AttentionRequest, prepared: Prepared) -> str:
    if query == "all":
        return "rows attend to columns"
    if not isinstance(query, int):
        return "query: pool"
    if isinstance(prepared, Tokens):
        name = pieces_of(prepared, asked.units)[query][0]
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}\u2026"
        return f"query: {asked.units.removesuffix('s')} {query}, {shown}"
    return f"query: {'position' if asked.reduce == 'raw' else 'cell'} {query}"


def _unseen(asked: AttentionRequest, manifest: Manifest, picture: Picture, *, panels: bool) -> list[str]:
    """What of the picture, or of the model's positions, has no colour."""
    found = []
    x0, y0, x1, y1 = picture.region_px
    if not panels and (x0 > 0 or y0 > 0 or x1 < picture.width_px or y1 < picture.height_px):
        found.append("Grey: not seen by the model.")
    if manifest.prefix and asked.reduce == "raw" and asked.to_query().query != "all":
        found.append(f"Left out, for they are none of the picture: {manifest.prefix} before the cells, such as CLS.")
    return found
