"""Captions of attention images."""

from models.artifact.manifest import Manifest
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import ModelInput
from models.preprocess.tokenized_text import TokenizedText
from service.api.common.attention_response import text_units
from service.api.common.attention_schema import AttentionRequest

_REDUCTION_LABELS = {
    "rollout": "attention rollout",
    "last": "attention, last layer, mean over heads",
    "mean": "attention, mean over layers and heads",
    "max": "attention, max over layers and heads",
    "raw": "raw attention",
}

MAX_NAME_CHARACTERS = 24
"""Maximum characters of a token or word in a caption; a word can have a million."""

_SQRT_SCALE_NOTE = "One color scale for all panels, proportional to the square root of the weight."
_SPECIALS_NOTE = "Special tokens are shown with their weights and are not colored."


def caption(options: AttentionRequest, manifest: Manifest, prepared: ModelInput, *, panels: bool) -> list[str]:
    """Model, reduction and query, then what else one must know to read it; `panels` are of weights from 0."""
    query = options.to_options().query
    parts = [
        manifest.name,
        _REDUCTION_LABELS[options.reduce],
        *_raw_selection(options),
        _query_label(query, options, prepared),
    ]
    lines = [" \u00b7 ".join(parts)]
    if panels:
        lines.append(_SQRT_SCALE_NOTE)
    elif isinstance(prepared, TokenizedText) and any(start == end for _, start, end in prepared.token_offsets):
        lines.append(_SPECIALS_NOTE)
    if isinstance(prepared, PreprocessedImage):
        lines += _notes(options, manifest, prepared, panels=panels)
    return lines


def _raw_selection(options: AttentionRequest) -> list[str]:
    """Name the single layer and head of raw weights, or the combination of heads; several are labeled in the image."""
    parts = []
    if options.layers != "all" and len(options.layers) == 1:
        parts.append(f"layer {options.layers[0]}")
    if isinstance(options.heads, str):
        parts += [] if options.heads == "all" else [f"{options.heads} over heads"]
    elif len(options.heads) == 1:
        parts.append(f"head {options.heads[0]}")
    return parts


def _query_label(query: str | int, options: AttentionRequest, prepared: ModelInput) -> str:
    if query == "all":
        return "rows attend to columns"
    if not isinstance(query, int):
        return "query: pool"
    if isinstance(prepared, TokenizedText):
        name = text_units(prepared, options.units)[query][0]
        label = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}\u2026"
        return f"query: {options.units.removesuffix('s')} {query}, {label}"
    return f"query: {'position' if options.reduce == 'raw' else 'patch'} {query}"


def _notes(options: AttentionRequest, manifest: Manifest, image: PreprocessedImage, *, panels: bool) -> list[str]:
    """Return notes on the parts of the image, or of the model's positions, without color."""
    notes = []
    x0, y0, x1, y1 = image.crop_box_px
    if not panels and (x0 > 0 or y0 > 0 or x1 < image.width_px or y1 < image.height_px):
        notes.append("Gray: outside the model's input.")
    if manifest.num_prefix_tokens and options.reduce == "raw" and options.to_options().query != "all":
        notes.append(f"Not shown: {manifest.num_prefix_tokens} prefix positions before the patches, such as CLS.")
    return notes
