"""The manifest: one JSON file that says what an artifact is, and the only thing a reader must parse.

Widths, limits and tensor names live here and nowhere else, so that the service needs no knowledge of an
architecture. Letters: b items, s longest sequence, h heads, l layers, e embedding width.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.contract import tensors
from models.contract.errors import ArtifactError, first_problem

FORMAT: Final = 3
"""Version of the artifact format; raised whenever an older reader would misread a newer artifact."""

MANIFEST_FILE = "manifest.json"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Plain file and model names: no separators, no leading dot, so a name can never leave its directory."""

Modality = Literal["text", "image"]
Pooling = Literal["mean", "cls", "last", "attention"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "int8"]
Interpolation = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
Transparency = Literal["white", "dropped", "keyed"]

Side = Annotated[int, Field(gt=0, le=4096)]
"""Of a picture that a model takes, or is cut from, in px. Bounded, for every picture is made that large."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileDigest(_Part):
    """Size and sha256 of one file of the artifact."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class EmbeddingSpec(_Part):
    """How an item's vector of `width` comes about: pooled over its positions, then scaled to length 1 if `normalize`.

    Vectors of artifacts that name one `space` can be compared: a text's with a picture's, say.
    """

    width: int = Field(gt=0)
    pooling: Pooling
    normalize: bool
    space: Name


class AttentionSpec(_Part):
    """The attention that can be observed: for each layer, first layer first, how many `heads` it has."""

    heads: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)

    @property
    def layers(self) -> int:
        return len(self.heads)

    @property
    def matrices(self) -> int:
        """Weight matrices of one item, over all layers and heads."""
        return sum(self.heads)


class TextSpec(_Part):
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
    def _known_prompt(self) -> Self:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError("the default prompt is not among the prompts")
        return self


class ImageSpec(_Part):
    """The picture that the graph takes, `[rows_px, columns_px, 3]` in 8-bit sRGB, and how any picture becomes it.

    It is the middle of the picture scaled to `scaled_px`: to (rows, columns), each side on its own, or to a shorter
    side of that length, the longer one in proportion and rounded down. What is transparent becomes "white"; or
    transparency is "dropped" and the colours under it show; or it is "keyed", which drops it likewise, save that the
    one colour that stands for transparent in some files becomes white.
    Attention is told on `grid` (rows, columns of equal cells over the model's picture, row by row); `prefix` positions
    before them, such as CLS, are no part of the picture.
    """

    rows_px: Side
    columns_px: Side
    scaled_px: tuple[Side, Side] | Side
    interpolation: Interpolation
    transparency: Transparency
    grid: tuple[int, int]
    prefix: int = Field(ge=0)

    @model_validator(mode="after")
    def _no_larger_than_it_is_cut_from(self) -> Self:
        rows, columns = self.scaled_px if isinstance(self.scaled_px, tuple) else (self.scaled_px, self.scaled_px)
        if self.rows_px > rows or self.columns_px > columns:
            raise ValueError(f"{self.rows_px} x {self.columns_px} px cannot be cut out of {rows} x {columns} px")
        return self

    @property
    def cells(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def positions(self) -> int:
        """Length of the sequence that a picture is to the encoder."""
        return self.prefix + self.cells


class GraphSpec(_Part):
    """The ONNX graph: where it may run, what it gives, and how many fused attention operators it holds."""

    devices: tuple[Device, ...] = Field(min_length=1)
    outputs: tuple[str, ...]
    attention_operators: int = Field(ge=0)


class Parity(_Part):
    """Largest differences between the graph and the trained original, measured when the artifact was sealed."""

    items: int = Field(gt=0)
    embedding_max_abs: float
    embedding_min_cosine: float
    weights_max_abs: float | None = Field(description="None where there is no attention.")
    relevance_max_abs: float | None = Field(description="None where there is no attention.")
    neighbours_max_abs: float = Field(description="Largest change of an embedding by the items batched with it.")


class Quality(_Part):
    """Of a reduced precision: its vectors of `items` texts or pictures against those of full precision."""

    items: int = Field(gt=0)
    mean_cosine: float
    min_cosine: float
    neighbours_overlap: float = Field(description="Mean share of the ten nearest that are the same.")
    neighbours_max_abs: float = Field(description="Largest change of a vector by the items batched with it.")


class Manifest(_Part):
    """Everything a reader needs to serve the artifact, and the digest of every other file in it."""

    format: Literal[3] = FORMAT
    name: Name
    modality: Modality
    architecture: str
    precision: Precision
    embedding: EmbeddingSpec
    attention: AttentionSpec | None = Field(description="None for an encoder without attention, a convolution say.")
    text: TextSpec | None = None
    image: ImageSpec | None = None
    graph: GraphSpec
    parity: Parity
    quality: Quality | None = Field(None, description="None where nothing was reduced.")
    tools: dict[str, str]
    files: dict[Name, FileDigest]

    @model_validator(mode="after")
    def _one_modality(self) -> Self:
        if (self.text is None, self.image is None) != (self.modality != "text", self.modality != "image"):
            raise ValueError(f"modality {self.modality} needs its own section and no other")
        observed = tensors.observed(self.attention.layers) if self.attention else ()
        if self.graph.outputs != (tensors.EMBEDDING, *observed):
            raise ValueError("the graph has other outputs than its attention has parts")
        return self

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Parse `directory`/manifest.json. Raises ArtifactError when it is absent, malformed or of another format."""
        path = directory / MANIFEST_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(path, f"cannot be read ({type(error).__name__}); export the model first") from error
        found = _declared_format(path, text)
        if found != FORMAT:
            raise ArtifactError(
                path, f"has artifact format {found}, this version reads {FORMAT}; export the model again"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ArtifactError(path, f"is not a valid manifest: {first_problem(error)}") from error

    def write(self, directory: Path) -> None:
        """Write `directory`/manifest.json, readable by a person."""
        (directory / MANIFEST_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class _FormatOnly(BaseModel):
    format: int | None = None


def _declared_format(path: Path, text: str) -> int | None:
    """Read the format alone, so that another version is named as such and not as a list of schema errors."""
    try:
        return _FormatOnly.model_validate_json(text).format
    except ValidationError as error:
        raise ArtifactError(path, "is not JSON, or declares no format") from error
