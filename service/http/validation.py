"""Validation of JSON as a dialect's request by its pydantic model; the first problem becomes a typed error.

Pydantic's messages are not exposed, because they refer to Python types.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from service import limits
from service.errors import (
    BadRequestError,
    EmptyInput,
    InvalidInput,
    InvalidJson,
    InvalidParameter,
    TooManyInputs,
    UnsupportedMediaType,
)
from service.http import body
from service.http.request import HttpRequest

PARAMETER_ERROR_TYPES = {"literal_error", "greater_than_equal", "less_than_equal", "extra_forbidden"}
"""Errors about values of the right type that are impossible; other errors concern the input's type."""

_MESSAGES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "this field is required",
    "extra_forbidden": lambda _: "unknown field",
    "string_type": lambda _: "must be a string",
    "int_type": lambda _: "must be an integer",
    "bool_type": lambda _: "must be true or false",
    "list_type": lambda _: "must be a list",
    "tuple_type": lambda _: "must be a list",
    "literal_error": lambda found: f"must be {found['expected']}",
    "greater_than_equal": lambda found: f"must be at least {found['ge']}",
    "less_than_equal": lambda found: f"must be at most {found['le']}",
    "too_short": lambda _: "must not be empty",
    "too_long": lambda found: f"must have at most {found['max_length']} entries",
    "value_error": lambda found: str(found["error"]),
}
_DEFAULT_MESSAGE = "must be an object"


def integral(value: object) -> object:
    """JSON does not tell 64 from 64.0, nor can its reader an integer past 64 bits from a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Dimensions = Annotated[Annotated[StrictInt, Field(ge=1)], BeforeValidator(integral)]


async def read_json(request: HttpRequest) -> object:
    """Return a request's JSON, not validated yet. Raises BadRequestError, BodyTooLarge or UnsupportedMediaType."""
    if body.media_type(request) != body.JSON:
        raise UnsupportedMediaType(f"unsupported Content-Type; use {body.JSON}")
    return parse_request_json(request, await body.read_body(request))


def parse_request_json(request: HttpRequest, content: bytes) -> object:
    """Parse the JSON of a request's body. Raises InvalidJson."""
    return body.parse_json(
        content, max(limits.MAX_JSON_CONTAINERS, limits.MAX_JSON_CONTAINERS_PER_INPUT * max_inputs(request))
    )


def max_inputs(request: HttpRequest) -> int:
    """Return the maximum number of inputs in a request."""
    state = request.app_state
    return state.settings.max_client_batch_size


class RequestModel(BaseModel):
    """A JSON request of some dialect.

    `INPUT_FIELDS` are its fields that hold inputs, which are counted before they are validated; `INPUT_DESCRIPTION`
    says what one is.
    """

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("input",)
    INPUT_DESCRIPTION: ClassVar[str] = "must be a string or a list of strings"

    @classmethod
    async def read(cls, request: HttpRequest) -> Self:
        """Read and validate the request's body. Raises BadRequestError, BodyTooLarge or UnsupportedMediaType."""
        return cls.parse(await read_json(request), max_inputs(request))

    @classmethod
    def parse(cls, fields: object, max_inputs: int) -> Self:
        """Validate a parsed body. Raises InvalidJson, TooManyInputs, InvalidInput or InvalidParameter."""
        if not isinstance(fields, dict):
            raise InvalidJson("the body is not an object")
        for name in cls.INPUT_FIELDS:
            _check_count(fields.get(name), max_inputs, name)
        given = {name: value for name, value in fields.items() if value is not None}  # null is a field's default
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise cls._to_api_error(error) from None

    @classmethod
    def _to_api_error(cls, error: ValidationError) -> BadRequestError:
        detail, message = _most_specific_error(error.errors(include_url=False))
        kind, loc = detail["type"], detail["loc"]
        specific_types = ("too_short", "too_long") if len(loc) > 1 else ("missing", "too_short", "too_long")
        if loc[0] in cls.INPUT_FIELDS and kind not in specific_types:
            param = str(loc[0]) + "".join(_path_segment(part) for part in loc[1:2] if isinstance(part, int))
            return InvalidInput(f"{param}: {cls.INPUT_DESCRIPTION}", param)
        param = "".join(
            _path_segment(part) for part in loc if isinstance(part, int) or part in _field_names(cls)
        ).removeprefix(".")
        message = f"{param}: {message}"
        if kind == "too_short" and param in cls.INPUT_FIELDS:
            return EmptyInput(message, param)
        return InvalidParameter(message, param) if kind in PARAMETER_ERROR_TYPES else InvalidInput(message, param)


@cache
def _field_names(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of a model's fields, nested ones included: other parts of pydantic's paths name alternatives."""
    schema = model.model_json_schema()
    return frozenset(
        name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", {})
    )


def _path_segment(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def flag_as_object(value: object) -> object:
    """Return the options that a flag stands for: all defaults for true, none for false."""
    return {} if value is True else None if value is False else value


def _check_count(value: object, max_inputs: int, name: str) -> None:
    """Count before validating: a million small objects would take seconds of the event loop."""
    if isinstance(value, list) and len(value) > max_inputs and not isinstance(value[0], int):  # one text, as ids
        raise TooManyInputs(f"too many inputs: {len(value)} (maximum {max_inputs})", name)


def _most_specific_error(details: Sequence[ErrorDetails]) -> tuple[ErrorDetails, str]:
    """Pick one error out of a union's, and its message: the most deeply nested, last one.

    If neither the literal nor the type of the last branch fits, the message names both, and a string input is reported
    as the literal's error.
    """
    field = [problem for problem in details if problem["loc"][:2] == details[0]["loc"][:2]]
    depth = max(len(problem["loc"]) for problem in field)
    *others, last = (problem for problem in field if len(problem["loc"]) == depth)
    literal_detail = next((problem for problem in others if problem["type"] == "literal_error"), None)
    if literal_detail is None or not last["type"].endswith("_type"):
        return last, _message(last)
    both = f"{_message(literal_detail)}, or {_message(last).removeprefix('must be ')}"
    return literal_detail if isinstance(literal_detail["input"], str) else last, both


def _message(detail: ErrorDetails) -> str:
    template = _MESSAGES.get(detail["type"])
    return template(detail.get("ctx", {})) if template else _DEFAULT_MESSAGE
