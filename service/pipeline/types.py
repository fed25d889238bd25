"""The request type that every API translates to, and the result type that responses are written from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact.arrays import Floats
from models.artifact.manifest import Modality, Task
from models.preprocess.model_input import ModelInput, TextPair
from models.preprocess.text import KeptSide
from service.engine.items import Timing
from service.engine.plan import AttentionOptions, AttentionWeights
from service.runtime.encoder import AnyEncoder
from service.runtime.sparse_vectors import SparseVector, unpack_row


@dataclass(frozen=True, slots=True)
class TokenIds:
    """A text as its caller's own tokenizer made it, special tokens included."""

    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Image:
    """Image file: its bytes, or base64 of them, bare or as a data URI."""

    file: bytes | str


Input = str | TokenIds | TextPair | Image
"""Input of a request; a string is a text."""


def modality(value: Input) -> Modality:
    return "image" if isinstance(value, Image) else "text"


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """Request to run `inputs` through a model that has the `task`.

    `model` is a served model's name, or None for the first that has the task and accepts the first input. Inputs to
    embed of another modality are routed to the served model with the same space. `dimensions` keeps the first
    components of embeddings; `normalize` overrides the model's. Texts longer than the model's limit are truncated
    (keeping the `kept` side), or rejected if `truncate` is False. Texts longer than `max_tokens` are always rejected.
    `prompt` names one of the model's prompts; `purpose` ("query", "document", ...) selects one if the model has
    prompts.
    """

    inputs: Sequence[Input]
    model: str | None = None
    task: Task = "embed"
    dimensions: int | None = None
    normalize: bool | None = None
    truncate: bool = True
    kept: KeptSide = "start"
    max_tokens: int | None = None
    max_document_tokens: int | None = None
    """Cut the second text of each pair at as many tokens."""
    prompt: str | None = None
    purpose: str | None = None
    attention: AttentionOptions | None = None
    attention_optional: bool = False
    """Omit attention for a model without it, instead of refusing the request."""
    return_token_embeddings: bool = False
    """Also return the vector of each token, or of each position of an image."""
    return_sparse_tokens: bool = False
    """Also return which token each entry of a sparse vector is of."""
    input_path: Callable[[int], str] = "input[{}]".format
    """The API's name for the input at an index, and for `dimensions`: used in errors."""
    dimensions_param: str = "dimensions"


@dataclass(frozen=True, slots=True)
class InputResult:
    """Result of one input: its embedding `[e]`, a head's logits `[c]`, or `[n, c]` by token, or a packed sparse vector,
    which `sparse_vector` unpacks; and, if requested, its attention and the vectors `[n, e]` of its positions, not
    normalized."""

    encoder: AnyEncoder
    prepared: ModelInput
    output: Floats
    attention: AttentionWeights | None
    token_embeddings: Floats | None

    @property
    def sparse_vector(self) -> SparseVector:
        """The output of a sparse encoder."""
        return unpack_row(self.output)


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """Results in the order of the inputs; `encoder` is the requested model."""

    encoder: AnyEncoder
    outputs: Sequence[InputResult]
    timing: Timing

    @property
    def num_inputs(self) -> int:
        return len(self.outputs)

    @property
    def embeddings(self) -> Floats:
        """Of all items, `[b, e]`."""
        return np.stack([item.output for item in self.outputs])

    @property
    def num_values(self) -> int:
        """How many are in all vectors of items."""
        return sum(item.output.size for item in self.outputs)

    @property
    def num_tokens(self) -> int:
        """Tokens of texts, and positions of images, that were computed."""
        return sum(item.prepared.num_tokens for item in self.outputs)
