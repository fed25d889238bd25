"""From a directory to a subject: our own checkpoints and Hugging Face's say in config.json which they are."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from export.subjects import huggingface, ours
from export.subjects.base import Subject

_OBJECT = TypeAdapter(dict[str, Any])


def open_subject(directory: Path) -> Subject:
    """Read the directory and load the encoder in it. Raises SourceError."""
    return ours.open_subject(directory) if _is_ours(directory / "config.json") else huggingface.open_subject(directory)


def _is_ours(config: Path) -> bool:
    """Our configs name their `kind`, Hugging Face's their `model_type`. A config that cannot be read is not ours."""
    try:
        return "kind" in _OBJECT.validate_json(config.read_bytes())
    except (OSError, ValidationError):
        return False
