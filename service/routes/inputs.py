"""From a request's inputs to prepared items, on threads: the event loop neither tokenizes nor decodes.

Shared by the dialects. Every refusal names its input.
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Sequence

from models.contract.manifest import Modality
from models.preprocess import errors as images
from models.preprocess.image import Picture
from models.preprocess.prepared import Prepared
from service.engine.items import Ticket
from service.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InvalidImage,
    InvalidInput,
    RequestError,
    UnsupportedImageFormat,
    UrlNotAllowed,
)
from service.routes.schemas import ImageItem, TextItem
from service.runtime.encoder import AnyEncoder, ImageEncoder, TextEncoder
from service.state import State

Input = str | TextItem | ImageItem | bytes
"""Bytes are an image file."""

_PROBLEMS: dict[type[images.ImageProblem], type[RequestError]] = {
    images.NotAnImage: InvalidImage,
    images.UnsupportedFormat: UnsupportedImageFormat,
    images.TooManyPixels: ImageTooLarge,
}

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


async def prepare(
    state: State,
    encoder: AnyEncoder,
    inputs: Sequence[Input],
    strings: Modality,
    ticket: Ticket,
    submit: Callable[[Sequence[Prepared]], None],
) -> None:
    """Have the inputs made what the encoder takes, and then submitted; `strings` says what plain strings are.

    Raises InvalidInput for one of another modality, RequestError for an image that gives no picture, and
    DeadlineExceeded. Of a text's preparation the ticket is told.
    """
    seconds = state.metrics.of(encoder.name).preprocess_seconds
    if isinstance(encoder, TextEncoder):
        texts = [_text(value, strings, f"input[{i}]") for i, value in enumerate(inputs)]
        asked = time.monotonic()

        def tokenize() -> None:
            if ticket.closed:
                return
            if time.monotonic() > ticket.deadline:
                state.metrics.shed.labels("deadline").inc(len(texts))
                raise DeadlineExceeded("the request's texts could not be tokenized before its deadline")
            items = encoder.prepare(texts)
            seconds.observe(time.monotonic() - asked)
            submit(items)

        state.engine.submit_from(state.tokenizing, ticket, tokenize)
        return
    files = [_image(value, strings, f"input[{i}]") for i, value in enumerate(inputs)]
    with seconds.time():
        pictures = await _pictures(state, encoder, files, ticket.deadline)
    submit(pictures)


async def _pictures(state: State, encoder: ImageEncoder, files: list[str | bytes], deadline: float) -> list[Picture]:
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
        for i, decoded in enumerate(await asyncio.gather(*decoding), start):
            if isinstance(decoded, RequestError):
                decoded.param = f"input[{i}]"
                raise decoded
            pictures.append(decoded)
    return pictures


def _decode(encoder: ImageEncoder, file: str | bytes) -> Picture | RequestError:
    try:
        return encoder.prepare([_bytes(file) if isinstance(file, str) else file])[0]
    except images.ImageProblem as problem:
        return _PROBLEMS[type(problem)](str(problem))
    except InvalidImage as error:
        return error


def _bytes(encoded: str) -> bytes:
    """Decode base64, with the line breaks that tools put in. Raises InvalidImage."""
    found = _DATA_URL.match(encoded)
    payload = encoded[found.end() :] if found else encoded
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters past ASCII
        raise InvalidImage("the image is not base64") from None


def _text(value: Input, strings: Modality, param: str) -> str:
    if isinstance(value, TextItem):
        return value.text
    if isinstance(value, str) and strings == "text":
        return value
    raise InvalidInput("this model takes texts, not images", param)


def _image(value: Input, strings: Modality, param: str) -> str | bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, TextItem) or (isinstance(value, str) and strings == "text"):
        raise InvalidInput('this model takes images, not texts: {"image": "data:image/png;base64,..."}', param)
    encoded = value.image if isinstance(value, ImageItem) else value
    if _URL.match(encoded):
        raise UrlNotAllowed("images are not fetched from a URL; send the file itself in base64", param)
    return encoded
