"""Bounded sizes in configs: a mistyped one is refused by its field, not by the memory it would take."""

from typing import Annotated

from pydantic import Field

Size = Annotated[int, Field(gt=0, le=65_536)]
"""A width, a side in px, a number of tokens."""

Count = Annotated[int, Field(gt=0, le=1_024)]
"""Of layers, heads, blocks or groups."""
