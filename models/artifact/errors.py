"""Errors of artifacts, and validation errors of any data as one line."""

from pathlib import Path

from pydantic import ValidationError


class ArtifactError(ValueError):
    """An artifact that must not be served; the message names it and the offending file in it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.parent.name}/{path.name} {reason}")


def unreadable(path: Path, error: OSError) -> ArtifactError:
    """Return the error of a file or directory that the system does not let this process read."""
    return ArtifactError(path, f"cannot be read: {error.strerror}")


def first_validation_error(error: ValidationError, separator: str = ": ") -> str:
    """Format the first validation error: where it is, and what is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}{separator}{first['msg']}"
