"""What a manifest says of the encoder: what it takes, what it gives, and the graph that does it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Plain file and model names: no separators, no leading dot, so a name can never leave its directory."""

Modality = Literal["text", "image"]
Pooling = Literal["mean", "cls", "last", "attention"]
TokenEmbeddingKind = Literal["parts", "mapped", "states"]
"""What the vectors of the positions are to the item's. "parts": the pooling of them is the item's vector, be it their
mean or one of them. "mapped": each is made of its state as the item's is of the pooled state, by a map that is not
linear, so that they do not add up. "states": the last hidden states, which a pooling with weights of its own reads."""
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "int8"]
Interpolation = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
Transparency = Literal["white", "dropped", "keyed"]

PixelCount = Annotated[int, Field(gt=0, le=4096)]
"""Of a picture that a model takes, or is cut from, in px. Bounded, for every picture is made that large."""


class FrozenModel(BaseModel):
    """Of a manifest: it is never changed, and has no entry that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EmbeddingSpec(FrozenModel):
    """How an item's vector of `width` comes about: pooled over its positions, then scaled to length 1 if `normalize`.

    `positions` says what the vectors of the positions are to it. Vectors of artifacts that name one `space` can be
    compared: a text's with a picture's, say.
    """

    width: int = Field(gt=0)
    pooling: Pooling
    normalize: bool
    positions: TokenEmbeddingKind
    space: Name


class AttentionSpec(FrozenModel):
    """The attention that can be observed: for each layer, first layer first, how many `heads` it has."""

    heads: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)

    @property
    def num_layers(self) -> int:
        return len(self.heads)

    @property
    def num_matrices(self) -> int:
        """Weight matrices of one item, over all layers and heads."""
        return sum(self.heads)


class TextSpec(FrozenModel):
    """Limits of the text input, special tokens included in `max_tokens`, and what is put before a text.

    `padding_id` is for encoders that were trained on texts padded to `max_tokens`, with attention to the padding.
    """

    max_tokens: int = Field(gt=0)
    vocabulary_size: int = Field(gt=0)
    position_offset: int = Field(ge=0, description="Position id of the first token (2 for RoBERTa, else 0).")
    padding_id: int | None = None
    prompts: dict[str, str] = {}
    default_prompt: str | None = Field(None, description="Name of the prompt of texts that come without one.")

    @model_validator(mode="after")
    def _check_default_prompt(self) -> Self:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError("the default prompt is not among the prompts")
        return self


class ImageSpec(FrozenModel):
    """The picture that the graph takes, `[rows_px, columns_px, 3]` in 8-bit sRGB, and how any picture becomes it.

    It is the middle of the picture scaled to `scaled_px`: to (rows, columns), each side on its own, or to a shorter
    side of that length, the longer one in proportion and rounded down. What is transparent becomes "white"; or
    transparency is "dropped" and the colours under it show; or it is "keyed", which drops it likewise, save that the
    one colour that stands for transparent in some files becomes white.
    Attention is reported on `grid` (rows, columns of equal cells over the model's picture, row by row); the `prefix`
    positions before them, such as CLS, do not belong to the picture.
    """

    rows_px: PixelCount
    columns_px: PixelCount
    scaled_px: tuple[PixelCount, PixelCount] | PixelCount
    interpolation: Interpolation
    transparency: Transparency
    grid: tuple[int, int]
    prefix: int = Field(ge=0)

    @model_validator(mode="after")
    def _check_crop_fits(self) -> Self:
        rows, columns = self.scaled_px if isinstance(self.scaled_px, tuple) else (self.scaled_px, self.scaled_px)
        if self.rows_px > rows or self.columns_px > columns:
            raise ValueError(f"{self.rows_px} x {self.columns_px} px crop does not fit into {rows} x {columns} px")
        return self

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def num_tokens(self) -> int:
        """Length of the sequence that a picture is to the encoder."""
        return self.prefix + self.num_patches


class GraphSpec(FrozenModel):
    """The ONNX graph: where it may run, what it gives, and how many fused attention operators it holds."""

    devices: tuple[Device, ...] = Field(min_length=1)
    outputs: tuple[str, ...]
    attention_operators: int = Field(ge=0)
