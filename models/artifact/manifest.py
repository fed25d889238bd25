"""Manifest of an artifact, `manifest.json`: the only file that a reader must parse.

Dimensions, limits and tensor names are in it and nowhere else, so that the service needs no knowledge of an
architecture. Its sections about the encoder are in `models.artifact.specs` and are exported from here too.
"""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from models.artifact import tensors
from models.artifact.errors import ArtifactError, first_validation_error, unreadable
from models.artifact.specs import (
    LABEL_TASKS,
    AttentionSpec,
    Device,
    EmbeddingSpec,
    FrozenModel,
    GraphSpec,
    HeadSpec,
    ImageSpec,
    Modality,
    Name,
    Pooling,
    Precision,
    Task,
    TextSpec,
    TokenEmbeddingKind,
)

__all__ = [
    "ARTIFACT_FORMAT_VERSION",
    "MANIFEST_FILE",
    "AttentionSpec",
    "Deviation",
    "Device",
    "EmbeddingSpec",
    "FileDigest",
    "GraphSpec",
    "HeadSpec",
    "ImageSpec",
    "Manifest",
    "Modality",
    "Overrides",
    "Parity",
    "Pooling",
    "Quality",
    "Task",
    "TextSpec",
    "TokenEmbeddingKind",
]

ARTIFACT_FORMAT_VERSION: Final = 8
"""Version of the artifact format; raised whenever an older reader would misread a newer artifact."""

MANIFEST_FILE = "manifest.json"


class FileDigest(FrozenModel):
    """Size and sha256 of one file of the artifact."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Deviation(FrozenModel):
    """One figure of the comparison with the original in float64: the graph's error, and the error of the original
    itself in the precision of the graph (None: not finite there).

    `limit` is the most that is accepted, None for a figure that does not decide.
    """

    graph: float
    original: float | None
    limit: float | None


class Parity(FrozenModel):
    """Largest differences from the trained original in float64, measured over `items` when the artifact was sealed."""

    num_inputs: int = Field(gt=0)
    embedding: Deviation | None = Field(
        None, description="Of embeddings scaled to length 1, in any component; None for other tasks."
    )
    embedding_cosine: Deviation | None = Field(None, description="1 minus the cosine of two embeddings.")
    logits: Deviation | None = Field(
        None,
        description="Of a head's logits, or a sparse vector's weights, relative to their root mean square over all "
        "inputs.",
    )
    token_embeddings: Deviation = Field(
        description="Of vectors of positions, each scaled to length 1, and their pooling."
    )
    weights: Deviation | None = Field(description="Of attention weights; None where there is no attention.")
    relevance: Deviation | None = Field(description="Of reductions of attention; None where there is no attention.")
    batch_invariance: Deviation = Field(
        description="Change of an output, or of a position's vector, by the items in the same batch. The original runs "
        "one item at a time: its figure is the larger one of its outputs and positions."
    )
    exact_weights: int = Field(ge=0, description="Weights that are copies of a parameter, bit for bit.")


class Overrides(FrozenModel):
    """Options of the export that replaced what the source says; None where the source decides."""

    pooling: Pooling | None = None
    normalize: bool | None = None
    max_tokens: int | None = None
    task: Task | None = None


class Quality(FrozenModel):
    """Quality of a reduced precision: its outputs for `num_inputs` inputs, compared with those of full precision.

    Embeddings are judged by cosine and neighbors, a reranker by the order of its documents, a classifier by its labels.
    """

    num_inputs: int = Field(gt=0)
    mean_cosine: float | None = None
    min_cosine: float | None = None
    knn_overlap_at_10: float | None = Field(None, description="Mean share of the ten nearest that are the same.")
    rank_correlation: float | None = Field(
        None, description="Mean over queries of Spearman's correlation of the documents' scores."
    )
    label_agreement: float | None = Field(None, description="Share of inputs, or of tokens, with the same first label.")
    batch_invariance_max_abs: float = Field(
        description="Largest change of an output by the items batched with it; of logits, relative to their root mean "
        "square."
    )


class Manifest(FrozenModel):
    """Everything a reader needs to serve the artifact, and the digest of every other file in it."""

    format: Literal[8] = ARTIFACT_FORMAT_VERSION
    name: Name
    modality: Modality
    architecture: str
    precision: Precision
    tasks: tuple[Task, ...] = Field(
        ("embed",), min_length=1, description="What the model answers with; the first is its default."
    )
    embedding: EmbeddingSpec
    head: HeadSpec | None = Field(None, description="None for a model without labels.")
    attention: AttentionSpec | None = Field(description="None for an encoder without attention, a convolution say.")
    text: TextSpec | None = None
    image: ImageSpec | None = None
    graph: GraphSpec
    parity: Parity
    quality: Quality | None = Field(None, description="None where nothing was reduced.")
    overrides: Overrides = Overrides()
    notes: tuple[str, ...] = Field((), description="Remarks for the person who exported it, such as assumptions.")
    tools: dict[str, str]
    files: dict[Name, FileDigest]

    @model_validator(mode="after")
    def _one_modality(self) -> Self:
        if (self.text is None, self.image is None) != (self.modality != "text", self.modality != "image"):
            raise ValueError(f"modality {self.modality} needs its own section and no other")
        layers = self.attention.num_layers if self.attention else 0
        if self.graph.outputs != tensors.graph_outputs(layers, sparse="sparse" in self.tasks):
            raise ValueError("the graph's outputs do not match its attention layers")
        return self

    @model_validator(mode="after")
    def _head_of_tasks(self) -> Self:
        if (self.head is None) == any(task in LABEL_TASKS for task in self.tasks):
            raise ValueError("tasks with labels need a head, and others have none")
        if self.head and "rerank" in self.tasks and len(self.head.labels) != 1:
            raise ValueError("a reranker has one label")
        if self.modality == "image" and not {*self.tasks} <= {"embed", "classify"}:
            raise ValueError("an image model can embed or classify")
        return self

    @property
    def num_prefix_tokens(self) -> int:
        """Return the number of positions excluded from reductions: an image's CLS and registers; 0 for a text."""
        return self.image.num_prefix_tokens if self.image else 0

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Parse `directory`/manifest.json. Raises ArtifactError when it is absent, malformed or of another format."""
        path = directory / MANIFEST_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError) as error:
            raise ArtifactError(path, f"cannot be read ({type(error).__name__}); export the model first") from error
        except OSError as error:
            raise unreadable(path, error) from error
        found = _declared_format(path, text)
        if found != ARTIFACT_FORMAT_VERSION:
            raise ArtifactError(
                path,
                f"has artifact format {found}, this version reads {ARTIFACT_FORMAT_VERSION}; export the model again",
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ArtifactError(path, f"is not a valid manifest: {first_validation_error(error)}") from error

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
