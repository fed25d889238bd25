"""From JSON to a dialect's request, by its pydantic model; the first problem becomes a typed error in our words.

Of pydantic's own messages none is told: they speak of Python.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from service.errors import (
    EmptyInput,
    InvalidInput,
    InvalidJson,
    InvalidParameter,
    RequestError,
    TooManyInputs,
    UnsupportedMediaType,
)
from service.http import body, structure
from service.http.exchange import Exchange

CONTAINERS_AN_ITEM = 8
"""Lists and objects that an input may have in any dialect."""

PARAMETER_PROBLEMS = {"literal_error", "greater_than_equal", "less_than_equal", "extra_forbidden"}
"""A value of the right kind that is known to be impossible; of another kind it is a problem of the input."""

_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "this field is required",
    "extra_forbidden": lambda _: "has a field that is not known",
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
_OTHERWISE = "must be an object"


def whole(value: object) -> object:
    """JSON does not tell 64 from 64.0, nor can its reader an integer past 64 bits from a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Dimensions = Annotated[Annotated[StrictInt, Field(ge=1)], BeforeValidator(whole)]


async def fields(request: Exchange) -> object:
    """A request's JSON, not validated yet. Raises RequestError, BodyTooLarge or UnsupportedMediaType."""
    if body.media_type(request) != body.JSON:
        raise UnsupportedMediaType(f"send the body as Content-Type: {body.JSON}")
    return parsed(request, await body.read(request))


def parsed(request: Exchange, content: bytes) -> object:
    """The JSON that a request's body holds. Raises InvalidJson."""
    return body.parse(content, max(structure.MAX_CONTAINERS, CONTAINERS_AN_ITEM * max_items(request)))


def max_items(request: Exchange) -> int:
    """Most inputs that a request may have."""
    state = request.headlight
    return state.settings.max_items


class Body(BaseModel):
    """A JSON request of some dialect.

    `LISTS` are its fields that hold inputs, which are counted before they are validated; `INPUT` says what one is.
    """

    LISTS: ClassVar[tuple[str, ...]] = ("input",)
    INPUT: ClassVar[str] = "must be a string or a list of strings"

    @classmethod
    async def read(cls, request: Exchange) -> Self:
        """The request's body. Raises RequestError, BodyTooLarge or UnsupportedMediaType."""
        return cls.parse(await fields(request), max_items(request))

    @classmethod
    def parse(cls, fields: object, max_items: int) -> Self:
        """Validate a parsed body. Raises InvalidJson, TooManyInputs, InvalidInput or InvalidParameter."""
        if not isinstance(fields, dict):
            raise InvalidJson("the body is not an object")
        for name in cls.LISTS:
            _check_count(fields.get(name), max_items, name)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise cls._problem(error) from None

    @classmethod
    def _problem(cls, error: ValidationError) -> RequestError:
        problem, message = _meant(error.errors(include_url=False))
        kind, loc = problem["type"], problem["loc"]
        told = ("too_short", "too_long") if len(loc) > 1 else ("missing", "too_short", "too_long")
        if loc[0] in cls.LISTS and kind not in told:
            param = str(loc[0]) + "".join(_step(part) for part in loc[1:2] if isinstance(part, int))
            return InvalidInput(f"{param}: {cls.INPUT}", param)
        param = "".join(_step(part) for part in loc if isinstance(part, int) or part in _names(cls)).removeprefix(".")
        message = f"{param}: {message}"
        if kind == "too_short" and param in cls.LISTS:
            return EmptyInput(message, param)
        return InvalidParameter(message, param) if kind in PARAMETER_PROBLEMS else InvalidInput(message, param)


@cache
def _names(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model and of those within: what else pydantic puts on the way are its names for alternatives."""
    schema = model.model_json_schema()
    return frozenset(
        name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", {})
    )


def _step(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def _check_count(value: object, max_items: int, name: str) -> None:
    """Count before validating: a million small objects would take seconds of the event loop."""
    if isinstance(value, list) and len(value) > max_items and not isinstance(value[0], int):  # one text, as ids
        raise TooManyInputs(f"{len(value)} inputs, at most {max_items} are taken", name)


def _meant(problems: Sequence[ErrorDetails]) -> tuple[ErrorDetails, str]:
    """The problem that is told, and how. Each branch of a union reports: the deepest, and of those the last, is the one
    that was meant, but for a word the branch of words. Where neither fits, both are told.
    """
    field = [problem for problem in problems if problem["loc"][:2] == problems[0]["loc"][:2]]
    depth = max(len(problem["loc"]) for problem in field)
    *others, last = (problem for problem in field if len(problem["loc"]) == depth)
    words = next((problem for problem in others if problem["type"] == "literal_error"), None)
    if words is None or not last["type"].endswith("_type"):
        return last, _message(last)
    both = f"{_message(words)}, or {_message(last).removeprefix('must be ')}"
    return words if isinstance(words["input"], str) else last, both


def _message(problem: ErrorDetails) -> str:
    words = _WORDS.get(problem["type"])
    return words(problem.get("ctx", {})) if words else _OTHERWISE
