"""From a request's inputs to prepared items, on threads: the event loop tokenizes what is brief, and decodes nothing.

Shared by the dialects. Every refusal names its input.
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Sequence

from models.preprocess import errors as images
from models.preprocess.image import Picture
from models.preprocess.prepared import Prepared
from service.engine.items import Ticket
from service.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InvalidImage,
    RequestError,
    UnsupportedImageFormat,
    UrlNotAllowed,
)
from service.http.asked import Asked, Image, Input, TokenIds
from service.http.tokenizing import Text, Tokenizing
from service.runtime.encoder import AnyEncoder, ImageEncoder, TextEncoder
from service.state import State

_PROBLEMS: dict[type[images.ImageProblem], type[RequestError]] = {
    images.NotAnImage: InvalidImage,
    images.UnsupportedFormat: UnsupportedImageFormat,
    images.TooManyPixels: ImageTooLarge,
}

_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


async def prepare(
    state: State,
    encoder: AnyEncoder,
    asked: Asked,
    places: Sequence[int],
    ticket: Ticket,
    check: Callable[[Sequence[Prepared]], None],
    submit: Callable[[Sequence[Prepared]], None],
) -> None:
    """Have the inputs at `places`, of the encoder's modality, made what it takes, and then submitted.

    A few are made at a time, in turn with those of other requests, and `check` is asked of those there are, so that
    what is refused is refused early. Raises RequestError, DeadlineExceeded, Overloaded or NotReady; of texts
    that are not few and brief the ticket is told instead.
    """
    if isinstance(encoder, TextEncoder):
        texts = [_text(asked.inputs[place]) for place in places]
        Tokenizing(state, encoder, asked, texts, places, ticket, check, submit).begin()
        return
    files = [_file(asked, place) for place in places]
    with state.metrics.of(encoder.name).preprocess_seconds.time():
        pictures = await _pictures(state, encoder, files, list(map(asked.names, places)), ticket.deadline)
    check(pictures)
    submit(pictures)


async def _pictures(
    state: State,
    encoder: ImageEncoder,
    files: Sequence[str | bytes],
    names: Sequence[str],
    deadline: float,
) -> list[Picture]:
    """Decode as many at a time as there are decoders: of several bad images the first is named, whatever the timing,
    and requests take turns.
    """
    loop = asyncio.get_running_loop()
    at_once = state.settings.intra_op_threads()
    pictures: list[Picture] = []
    for start in range(0, len(files), at_once):
        if time.monotonic() > deadline:
            state.metrics.shed.labels("deadline").inc(len(files))
            raise DeadlineExceeded("the request's images could not be decoded before its deadline")
        some = files[start : start + at_once]
        decoding = [loop.run_in_executor(state.decoding, _decode, encoder, file) for file in some]
        for name, decoded in zip(names[start:], await asyncio.gather(*decoding), strict=False):
            if isinstance(decoded, RequestError):
                decoded.param = name
                raise decoded
            pictures.append(decoded)
    return pictures


def _decode(encoder: ImageEncoder, file: str | bytes) -> Picture | RequestError:
    try:
        return encoder.prepare([file_bytes(file) if isinstance(file, str) else file])[0]
    except images.ImageProblem as problem:
        return _PROBLEMS[type(problem)](str(problem))
    except InvalidImage as error:
        return error


def file_bytes(encoded: str) -> bytes:
    """Decode base64, with the line breaks that tools put in. Raises InvalidImage."""
    found = _DATA_URL.match(encoded)
    payload = encoded[found.end() :] if found else encoded
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters past ASCII
        raise InvalidImage("the image is not base64") from None


def _text(value: Input) -> Text:
    assert not isinstance(value, Image)
    return value.ids if isinstance(value, TokenIds) else value


def _file(asked: Asked, place: int) -> str | bytes:
    value = asked.inputs[place]
    assert isinstance(value, Image)
    if isinstance(value.file, str) and _URL.match(value.file):
        raise UrlNotAllowed("images are not fetched from a URL; send the file itself in base64", asked.names(place))
    return value.file
