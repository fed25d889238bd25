"""Typed errors of requests; `http.error_responses` and the APIs turn them into HTTP responses.

HeadlightError
├── BadRequestError         the client must change the request (400)
│   ├── InvalidJson, InvalidInput (EmptyInput), InvalidParameter, InvalidTokens
│   ├── ContextLengthExceeded, TooManyInputs, AttentionTooLarge, TaskNotSupported
│   └── InvalidImage, UnsupportedImageFormat, ImageTooLarge, UrlNotAllowed
├── InvalidApiKey           401
├── NotFound, ModelNotFound 404
├── MethodNotAllowed        405
├── BodyTooLarge            413
├── UnsupportedMediaType    415
├── Unavailable             the client may try again, after `retry_after_s`
│   ├── Overloaded          429
│   └── DeadlineExceeded, NotReady   503
└── InferenceFailed, Fault  ours (500)

Messages never carry input text, paths or traces.
"""

from collections.abc import Iterable
from typing import ClassVar


class HeadlightError(Exception):
    """`code` is stable and for programs, the message is for a person, `param` names the offending field."""

    code: ClassVar[str]

    def __init__(self, message: str, param: str | None = None) -> None:
        self.message = message
        self.param = param
        super().__init__(message)


class BadRequestError(HeadlightError):
    """Deterministic: the same request fails again."""


class InvalidJson(BadRequestError):
    code = "invalid_json"


class InvalidInput(BadRequestError):
    code = "invalid_input"


class EmptyInput(InvalidInput):
    """A list of inputs without one: some dialects tell it apart."""


class InvalidParameter(BadRequestError):
    code = "invalid_parameter"


class InvalidTokens(BadRequestError):
    code = "invalid_tokens"


class ContextLengthExceeded(BadRequestError):
    code = "context_length_exceeded"


class TooManyInputs(BadRequestError):
    code = "too_many_inputs"


class AttentionTooLarge(BadRequestError):
    code = "attention_too_large"


class TaskNotSupported(BadRequestError):
    """The model was not trained for what is asked of it."""

    code = "task_not_supported"


class InvalidImage(BadRequestError):
    code = "invalid_image"


class UnsupportedImageFormat(BadRequestError):
    code = "unsupported_image_format"


class ImageTooLarge(BadRequestError):
    code = "image_too_large"


class UrlNotAllowed(BadRequestError):
    code = "url_not_allowed"


class InvalidApiKey(HeadlightError):
    code = "invalid_api_key"


class NotFound(HeadlightError):
    code = "not_found"


class ModelNotFound(HeadlightError):
    code = "model_not_found"


class MethodNotAllowed(HeadlightError):
    """`allowed` are the methods that the path takes."""

    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = sorted(allowed)
        super().__init__(f"method not allowed; this path accepts {', '.join(self.allowed)}")


class BodyTooLarge(HeadlightError):
    code = "body_too_large"


class UnsupportedMediaType(HeadlightError):
    code = "unsupported_media_type"


class Unavailable(HeadlightError):
    """Not now; `retry_after_s` says when to try again."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Overloaded(Unavailable):
    code = "overloaded"


class DeadlineExceeded(Unavailable):
    code = "deadline_exceeded"


class NotReady(Unavailable):
    code = "not_ready"


class InferenceFailed(HeadlightError):
    code = "inference_failed"


class InternalError(HeadlightError):
    """What nobody foresaw."""

    code = "internal_error"
