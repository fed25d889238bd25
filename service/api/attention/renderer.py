"""Renderer of a request's result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.artifact.arrays import Floats
from models.artifact.manifest import Manifest
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import ModelInput, TextPair, TokenizedText
from service.api.common.attention import AttentionRequest, text_units, token_inputs
from service.engine.positions import Positions, TextSpan
from service.pipeline.types import InputResult
from service.visualization.drawing import Drawing
from service.visualization.heatmap import image_heatmap
from service.visualization.matrix import matrix
from service.visualization.small_multiples import mosaic
from service.visualization.text_heatmap import text_heatmap
from service.visualization.token_spans import Token

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
    """Return model, reduction and query, then notes needed to read the image; `panels` have weights from 0."""
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


def _query_label(query: str | int | Positions, options: AttentionRequest, prepared: ModelInput) -> str:
    if query == "all" or isinstance(query, tuple | TextSpan):
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
    if manifest.num_prefix_tokens and options.reduce == "raw" and not is_matrix(options):
        notes.append(f"Not shown: {manifest.num_prefix_tokens} prefix positions before the patches, such as CLS.")
    return notes


STRIP_ASPECT = 0.25
"""Height over width of a strip of tokens."""

MIN_PANEL_ASPECT, MAX_PANEL_ASPECT = 0.25, 4.0
"""Limits of the height over width of an image's panel."""


def is_matrix(options: AttentionRequest) -> bool:
    """Return whether there are rows of several positions."""
    query = options.to_options().query
    return query != "pool" and not isinstance(query, int)


@dataclass(frozen=True, slots=True)
class AttentionRenderer:
    """One input's attention: one axis, or two with query "all", after those of layers and heads if any."""

    options: AttentionRequest
    output: InputResult
    width_px: int

    def render_text(self, text: str | TextPair) -> Drawing:
        """Draw the text, or the two of a pair one under the other, with shaded tokens; or matrices, or strips, of
        layers and heads.

        Raises TooManyPanels.
        """
        prepared, found = self.output.prepared, self.output.attention
        assert isinstance(prepared, TokenizedText)
        assert found is not None
        units = text_units(prepared, self.options.units)
        if is_matrix(self.options):
            names = [piece for piece, _, _ in units]
            rows, columns = (
                names if positions is None else [names[i] for i in positions]
                for positions in (found.queries, found.keys)
            )
            return self._render_matrices(rows, columns)
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._render_mosaic(panels[:, :, None], STRIP_ASPECT)
        query = self.options.to_options().query
        places = range(len(units)) if found.keys is None else found.keys.tolist()
        shifts = _line_starts(prepared, self.options, text)
        tokens = [
            Token(units[i][0], units[i][1] + shifts[i], units[i][2] + shifts[i], weight, marked=i == query)
            for i, weight in zip(places, panels[0, 0].tolist(), strict=True)
        ]
        lines = text if isinstance(text, str) else "\n".join(text)
        caption_lines = self._caption(panels=False)
        return text_heatmap(lines, tokens, width_px=self.width_px, caption=caption_lines, truncated=prepared.truncated)

    def render_image(self, original: Image.Image) -> Drawing:
        """Draw the upright original with a heat map; or matrices, or grids, of layers and heads.

        Raises TooManyPanels.
        """
        prepared, spec = self.output.prepared, self.output.encoder.manifest.image
        assert isinstance(prepared, PreprocessedImage)
        assert spec
        if is_matrix(self.options):
            return self._render_matrices((), ())
        prefix = spec.num_prefix_tokens if self.options.reduce == "raw" else 0
        patches = self._panels[..., prefix:]
        if len(patches) * patches.shape[1] > 1:
            x0, y0, x1, y1 = prepared.crop_box_px
            aspect = min(max((y1 - y0) / (x1 - x0), MIN_PANEL_ASPECT), MAX_PANEL_ASPECT)
            return self._render_mosaic(patches.reshape(*patches.shape[:2], *spec.grid), aspect)
        query = self.options.to_options().query
        return image_heatmap(
            original,
            patches[0, 0],
            prepared.patch_boxes_px(*spec.grid),
            width_px=self.width_px,
            caption=self._caption(panels=False),
            marked=query - prefix if isinstance(query, int) and query >= prefix else None,
        )

    @property
    def _values(self) -> Floats:
        assert self.output.attention is not None
        return self.output.attention.values

    @property
    def _leading_axes(self) -> int:
        """Axes before those of the positions."""
        return self._values.ndim - (2 if is_matrix(self.options) else 1)

    @property
    def _panels(self) -> Floats:
        """`[l, h, ...]`, with one layer or head where they are reduced."""
        missing = tuple(range(self._leading_axes, 2))
        return np.expand_dims(self._values, missing)

    def _render_matrices(self, rows: Sequence[str], columns: Sequence[str]) -> Drawing:
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._render_mosaic(panels, panels.shape[-2] / max(1, panels.shape[-1]))
        return matrix(panels[0, 0], rows, columns, width_px=self.width_px, caption=self._caption(panels=True))

    def _render_mosaic(self, panels: Floats, aspect: float) -> Drawing:
        layers, heads = panels.shape[:2]
        return mosaic(
            panels,
            row_names=self._layer_names(layers),
            names=_panel_names("head", self.options.heads, heads) if self.options.layer_heads is None else [""],
            aspect=aspect,
            width_px=self.width_px,
            caption=self._caption(panels=True),
        )

    def _layer_names(self, layers: int) -> list[str]:
        if self.options.layer_heads is not None:
            return [f"layer {layer} head {head}" for layer, head in self.options.layer_heads]
        return _panel_names("layer", self.options.layers, layers)

    def _caption(self, *, panels: bool) -> list[str]:
        return caption(self.options, self.output.encoder.manifest, self.output.prepared, panels=panels)


def _line_starts(prepared: TokenizedText, options: AttentionRequest, text: str | TextPair) -> list[int]:
    """Return where the line of each token or word begins, of a pair drawn as two lines."""
    if isinstance(text, str):
        return [0] * len(text_units(prepared, options.units))
    return [len(text.first) + 1 if part == 1 else 0 for part in token_inputs(prepared, options.units)]


def _panel_names(axis: str, chosen: str | Sequence[int], count: int) -> list[str]:
    return [f"{axis} {i}" for i in (range(count) if isinstance(chosen, str) else chosen)]
