"""Sparse vectors in JSON."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from service.http.validation import flag_as_object
from service.pipeline.types import InputResult
from service.runtime.encoder import TextEncoder


class SparseRequest(BaseModel):
    """Sparse vector to return; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    tokens: StrictBool = Field(False, description="Return the token of each entry, and the input's token it is of.")


Sparse = Annotated[
    SparseRequest | None,
    BeforeValidator(flag_as_object),
    Field(
        description="Return sparse vectors, of a model that makes them, in place of embeddings.",
        json_schema_extra={"examples": [True, {"tokens": True}]},
    ),
]
"""Sparse option of a request: `true` requests all defaults, `false` none."""


class SparseToken(BaseModel):
    """Entry of the vocabulary, and the index of the input's token that its value is of."""

    text: str
    token: int


class SparseResponse(BaseModel):
    """Entries that are not 0, as Qdrant takes them: `indices` ascending."""

    indices: list[int]
    values: list[float]
    tokens: list[SparseToken] | None = None


def sparse_object(options: SparseRequest, output: InputResult) -> dict[str, Any]:
    """Return the sparse vector of an input, with the tokens of its entries if requested."""
    vector, encoder = output.sparse_vector, output.encoder
    entry: dict[str, Any] = {"indices": vector.indices, "values": vector.values}
    if options.tokens and vector.tokens is not None and isinstance(encoder, TextEncoder):
        entry["tokens"] = [
            {"text": encoder.vocabulary_token(index), "token": token}
            for index, token in zip(vector.indices.tolist(), vector.tokens.tolist(), strict=True)
        ]
    return entry
