"""Sections of the manifest about the encoder: its inputs, embedding, attention and graph."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Plain file and model names: no separators, no leading dot, so a name can never leave its directory."""

Modality = Literal["text", "image"]
Pooling = Literal["mean", "cls", "last", "attention"]
TokenEmbeddingKind = Literal["pooled", "projected", "hidden_states"]
"""How token embeddings relate to the input's embedding. "pooled": their pooling (mean, CLS or last) is the embedding.
"projected": token states pass through the same non-linear head as the pooled state, so they do not add up to the
embedding. "hidden_states": the last hidden states, which an attention pooling head reads."""
Task = Literal["embed", "sparse", "rerank", "classify", "token-classify"]
"""What a model answers with: an embedding; a sparse vector over its vocabulary; the relevance of a document to a query;
the labels of an input; the labels of each token of a text."""
LABEL_TASKS: tuple[Task, ...] = ("rerank", "classify", "token-classify")
"""Tasks of a head with labels, which reads a pair of texts too."""
Activation = Literal["none", "sigmoid", "softmax"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "int8"]
Interpolation = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
Transparency = Literal["white", "dropped", "color_key"]

PixelCount = Annotated[int, Field(gt=0, le=4096)]
"""Pixels of one edge of a model's image; bounded, because every image is scaled to that size."""


class FrozenModel(BaseModel):
    """Immutable section of a manifest that rejects unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EmbeddingSpec(FrozenModel):
    """Embedding of `dim` components: pooled over the positions, then scaled to length 1 if `normalize`.

    `token_embeddings` says how the tokens' vectors relate to it. Embeddings of artifacts with the same `space` can be
    compared, such as a text's with an image's. Of a model with a head, these are the states that the head reads; they
    are never returned as an embedding.
    """

    dim: int = Field(gt=0)
    pooling: Pooling
    normalize: bool
    token_embeddings: TokenEmbeddingKind
    space: Name


class HeadSpec(FrozenModel):
    """Trained head: the labels of its logits, in order, and the activation that makes scores of them."""

    labels: tuple[str, ...] = Field(min_length=1)
    activation: Activation


class AttentionSpec(FrozenModel):
    """Number of attention `heads` per layer, first layer first."""

    heads: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)

    @property
    def num_layers(self) -> int:
        return len(self.heads)

    @property
    def num_matrices(self) -> int:
        """Number of weight matrices of one item, over all layers and heads."""
        return sum(self.heads)


class TextSpec(FrozenModel):
    """Limits of the text input, and prompts put before a text; `max_tokens` includes special tokens.

    `padding_id` is set for encoders that were trained on texts padded to `max_tokens`, with attention to the padding.
    `token_types` is set for encoders that embed which of a pair's texts a token belongs to.
    """

    max_tokens: int = Field(gt=0)
    vocab_size: int = Field(gt=0)
    position_offset: int = Field(ge=0, description="Position id of the first token (2 for RoBERTa, else 0).")
    padding_id: int | None = None
    token_types: int | None = Field(None, gt=1, description="Rows of that embedding; None for a graph without it.")
    prompts: dict[str, str] = {}
    default_prompt: str | None = Field(None, description="Name of the prompt of texts that come without one.")

    @model_validator(mode="after")
    def _check_default_prompt(self) -> Self:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError("the default prompt is not among the prompts")
        return self


class ImageSpec(FrozenModel):
    """Image that the graph takes, `[height_px, width_px, 3]` in 8-bit sRGB, and the preprocessing that makes it.

    It is the center crop of the image scaled to `resize_px`: to (height, width), or to a shorter edge of that length,
    the longer one in proportion and rounded down. Transparent pixels become "white"; or transparency is "dropped" and
    the colors under it show; or "color_key", which drops it too, except that the one color that stands for transparent
    in some files becomes white. Attention is reported on `grid` (rows, columns of equal patches, row by row); the
    `num_prefix_tokens` positions before them, such as CLS, are not part of the image.
    """

    height_px: PixelCount
    width_px: PixelCount
    resize_px: tuple[PixelCount, PixelCount] | PixelCount
    interpolation: Interpolation
    transparency: Transparency
    grid: tuple[int, int]
    num_prefix_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _check_crop_fits(self) -> Self:
        rows, columns = self.resize_px if isinstance(self.resize_px, tuple) else (self.resize_px, self.resize_px)
        if self.height_px > rows or self.width_px > columns:
            raise ValueError(f"{self.height_px} x {self.width_px} px crop does not fit into {rows} x {columns} px")
        return self

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def num_tokens(self) -> int:
        """Length of the encoder's sequence for an image."""
        return self.num_prefix_tokens + self.num_patches


class GraphSpec(FrozenModel):
    """ONNX graph: devices it may run on, its outputs, and its number of fused attention operators."""

    devices: tuple[Device, ...] = Field(min_length=1)
    outputs: tuple[str, ...]
    attention_operators: int = Field(ge=0)
