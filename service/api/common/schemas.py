"""Response models that several APIs share, for the OpenAPI document only."""

from pydantic import BaseModel, Field

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""The smallest picture, for examples."""


class Token(BaseModel):
    """A token and where it stands in the caller's own text, in code points; start == end marks a special token."""

    text: str
    start: int
    end: int


class Grid(BaseModel):
    """What the weights of an image stand on: `prefix` positions that are no part of it, then its cells row by row."""

    rows: int
    columns: int
    prefix: int = Field(description="Positions before the patches, such as CLS, with raw; 0 with every reduction.")
    boxes_px: list[tuple[float, float, float, float]] = Field(
        description="x0, y0, x1, y1 of each patch in the submitted image, after EXIF orientation."
    )
