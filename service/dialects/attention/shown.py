"""From a request's result to what is drawn of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.contract.arrays import Floats
from models.preprocess.image import Picture
from models.preprocess.tokens import Tokens
from service.dialects.aligned import pieces_of
from service.dialects.attending import AttentionRequest
from service.dialects.attention.caption import caption
from service.http.asked import Item
from service.pictures.heatmap import heat_map
from service.pictures.matrix import matrix
from service.pictures.mosaic import mosaic
from service.pictures.segments import Token
from service.pictures.shaded import shaded_text

STRIP_SHAPE = 0.25
"""Height over width of a row of tokens."""

FLATTEST, TALLEST = 0.25, 4.0
"""Of a panel that is a picture."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One input's attention: one axis, or two with query "all", after those of layers and heads if any."""

    asked: AttentionRequest
    item: Item
    width_px: int

    def text(self, text: str) -> Image.Image:
        """The text with its tokens shaded; or matrices, or strips, of layers and heads. Raises TooManyPanels."""
        prepared = self.item.prepared
        assert isinstance(prepared, Tokens)
        if self._square:
            return self._matrices([piece for piece, _, _ in pieces_of(prepared, self.asked.units)])
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._mosaic(panels[:, :, None], STRIP_SHAPE)
        query = self.asked.to_query().query
        tokens = [
            Token(*piece, weight, marked=i == query)
            for i, (piece, weight) in enumerate(
                zip(pieces_of(prepared, self.asked.units), panels[0, 0].tolist(), strict=True)
            )
        ]
        told = self._caption(panels=False)
        return shaded_text(text, tokens, width_px=self.width_px, caption=told, truncated=prepared.truncated)

    def picture(self, original: Image.Image) -> Image.Image:
        """The upright original under its cells' colours; or matrices, or grids, of layers and heads.

        Raises TooManyPanels.
        """
        prepared, spec = self.item.prepared, self.item.encoder.manifest.image
        assert isinstance(prepared, Picture)
        assert spec
        if self._square:
            return self._matrices(())
        prefix = spec.prefix if self.asked.reduce == "raw" else 0
        cells = self._panels[..., prefix:]
        if len(cells) * cells.shape[1] > 1:
            x0, y0, x1, y1 = prepared.region_px
            shape = min(max((y1 - y0) / (x1 - x0), FLATTEST), TALLEST)
            return self._mosaic(cells.reshape(*cells.shape[:2], *spec.grid), shape)
        query = self.asked.to_query().query
        return heat_map(
            original,
            cells[0, 0],
            prepared.boxes_px(*spec.grid),
            width_px=self.width_px,
            caption=self._caption(panels=False),
            marked=query - prefix if isinstance(query, int) and query >= prefix else None,
        )

    @property
    def _values(self) -> Floats:
        assert self.item.attention is not None
        return self.item.attention.values

    @property
    def _square(self) -> bool:
        return self.asked.to_query().query == "all"

    @property
    def _leading(self) -> int:
        """Axes before those of the positions."""
        return self._values.ndim - (2 if self._square else 1)

    @property
    def _panels(self) -> Floats:
        """`[l, h, ...]`, with one layer or head where they are reduced."""
        missing = tuple(range(self._leading, 2))
        return np.expand_dims(self._values, missing)

    def _matrices(self, names: Sequence[str]) -> Image.Image:
        panels = self._panels
        if len(panels) * panels.shape[1] > 1:
            return self._mosaic(panels, 1.0)
        return matrix(panels[0, 0], names, width_px=self.width_px, caption=self._caption(panels=True))

    def _mosaic(self, panels: Floats, shape: float) -> Image.Image:
        layers, heads = panels.shape[:2]
        return mosaic(
            panels,
            row_names=_names("layer", self.asked.layers, layers),
            names=_names("head", self.asked.heads, heads),
            shape=shape,
            width_px=self.width_px,
            caption=self._caption(panels=True),
        )

    def _caption(self, *, panels: bool) -> list[str]:
        return caption(self.asked, self.item.encoder.manifest, self.item.prepared, panels=panels)


def _names(what: str, chosen: str | Sequence[int], count: int) -> list[str]:
    return [f"{what} {i}" for i in (range(count) if isinstance(chosen, str) else chosen)]
