"""Bounded sizes in configs: a mistyped size fails with its field's name, not by running out of memory."""

from typing import Annotated

from pydantic import Field

Size = Annotated[int, Field(gt=0, le=65_536)]
"""A width, a side in px, or a number of tokens."""

Count = Annotated[int, Field(gt=0, le=1_024)]
"""Number of layers, heads, blocks or groups."""
