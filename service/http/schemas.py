"""Bodies of errors, for the OpenAPI document."""

from pydantic import BaseModel


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorResponse(BaseModel):
    error: ErrorObject
    detail: str


class PlainError(BaseModel):
    error: str
