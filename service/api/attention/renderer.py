"""Renderer of a request's result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.artifact.arrays import Floats
from models.preprocess.image import PreprocessedImage
from models.preprocess.tokenized_text import TokenizedText
from service.api.attention.caption import caption
from service.api.common.attention_response import text_units
from service.api.common.attention_schema import AttentionRequest
from service.pipeline.types import EmbeddingOutput
from service.visualization.heatmap import image_heatmap
from service.visualization.matrix import matrix
from service.visualization.small_multiples import mosaic
from service.visualization.text_heatmap import text_heatmap
from service.visualization.token_spans import Token

STRIP_ASPECT = 0.25
"""Height over width of a row of tokens."""

MIN_PANEL_ASPECT, MAX_PANEL_ASPECT = 0.25, 4.0
"""Of a panel that is a picture."""


@dataclass(frozen=True, slots=True)
class AttentionRenderer:
    """One input's attention: one axis, or two with query "all", after those of layers and heads if any."""

    options: AttentionRequest
    output: EmbeddingOutput
    width_px: int

    def render_text(self, text: str) -> Image.Image:
        """Draw the text with shaded tokens; or matrices, or strips, of layers and heads. Raises TooManyPanels."""
        prepared = self.output.prepared
        assert isinstance(prepared, TokenizedText)
        if self._is_matrix:
            return self._render_matrices([piece for piece, _, _ in text_units(prepared, self.options.units)])
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._render_mosaic(panels[:, :, None], STRIP_ASPECT)
        query = self.options.to_options().query
        tokens = [
            Token(*piece, weight, marked=i == query)
            for i, (piece, weight) in enumerate(
                zip(text_units(prepared, self.options.units), panels[0, 0].tolist(), strict=True)
            )
        ]
        caption_lines = self._caption(panels=False)
        return text_heatmap(text, tokens, width_px=self.width_px, caption=caption_lines, truncated=prepared.truncated)

    def render_image(self, original: Image.Image) -> Image.Image:
        """Draw the upright original with a heat map; or matrices, or grids, of layers and heads.

        Raises TooManyPanels.
        """
        prepared, spec = self.output.prepared, self.output.encoder.manifest.image
        assert isinstance(prepared, PreprocessedImage)
        assert spec
        if self._is_matrix:
            return self._render_matrices(())
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
    def _is_matrix(self) -> bool:
        return self.options.to_options().query == "all"

    @property
    def _leading_axes(self) -> int:
        """Axes before those of the positions."""
        return self._values.ndim - (2 if self._is_matrix else 1)

    @property
    def _panels(self) -> Floats:
        """`[l, h, ...]`, with one layer or head where they are reduced."""
        missing = tuple(range(self._leading_axes, 2))
        return np.expand_dims(self._values, missing)

    def _render_matrices(self, names: Sequence[str]) -> Image.Image:
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._render_mosaic(panels, 1.0)
        return matrix(panels[0, 0], names, width_px=self.width_px, caption=self._caption(panels=True))

    def _render_mosaic(self, panels: Floats, aspect: float) -> Image.Image:
        layers, heads = panels.shape[:2]
        return mosaic(
            panels,
            row_names=_panel_names("layer", self.options.layers, layers),
            names=_panel_names("head", self.options.heads, heads),
            aspect=aspect,
            width_px=self.width_px,
            caption=self._caption(panels=True),
        )

    def _caption(self, *, panels: bool) -> list[str]:
        return caption(self.options, self.output.encoder.manifest, self.output.prepared, panels=panels)


def _panel_names(axis: str, chosen: str | Sequence[int], count: int) -> list[str]:
    return [f"{axis} {i}" for i in (range(count) if isinstance(chosen, str) else chosen)]
