"""Tests of validation errors: they list the accepted values and contain no Python terms."""

from typing import Any

import pytest

from service.api.common.inputs import MULTIMODAL_INPUT_DESCRIPTION
from service.api.openai import EmbeddingsRequest
from service.errors import BadRequestError
from service.http.validation import RequestModel

GOOD = {"model": "tiny", "input": "a"}


def error_of(model: type[RequestModel], fields: dict[str, Any]) -> tuple[str, str | None, str]:
    with pytest.raises(BadRequestError) as raised:
        model.parse(fields, max_inputs=100)
    error = raised.value
    return error.code, error.param, error.message


@pytest.mark.parametrize(
    ("attention", "code", "param", "message"),
    [
        ({"heads": "min"}, "invalid_parameter", "heads", "must be 'all', 'mean' or 'max', or a list"),
        ({"heads": 3}, "invalid_input", "heads", "must be 'all', 'mean' or 'max', or a list"),
        ({"heads": []}, "invalid_input", "heads", "must not be empty"),
        ({"heads": ["all"]}, "invalid_input", "heads[0]", "must be an integer"),
        ({"layers": "some"}, "invalid_parameter", "layers", "must be 'all', or a list"),
        ({"query": "row"}, "invalid_parameter", "query", "must be 'pool' or 'all', or an integer"),
        ({"query": 1.5}, "invalid_input", "query", "must be 'pool' or 'all', or an integer"),
        ({"query": -1}, "invalid_parameter", "query", "must be at least 0"),
        ({"units": "letters"}, "invalid_parameter", "units", "must be 'tokens' or 'words'"),
    ],
)
def test_union_error_names_literals_and_type(attention: dict[str, Any], code: str, param: str, message: str) -> None:
    found = error_of(EmbeddingsRequest, {**GOOD, "attention": attention})
    assert found == (code, f"attention.{param}", f"attention.{param}: {message}")


@pytest.mark.parametrize("wrong", [{"text": 5}, {"image": 5}, {"txt": "a"}, {}, 5, None, [], [0.5], [1, "a"]])
def test_input_error_names_every_accepted_kind(wrong: object) -> None:
    found = error_of(EmbeddingsRequest, {**GOOD, "input": ["a", wrong]})
    assert found == ("invalid_input", "input[1]", f"input[1]: {MULTIMODAL_INPUT_DESCRIPTION}")
