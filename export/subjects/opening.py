"""From a directory to a subject: our own checkpoints and Hugging Face's say in config.json which they are."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from export import files, layout
from export.errors import OptionError
from export.options import Options
from export.subjects import huggingface, ours
from export.subjects.base import Subject
from models.filenames import CONFIG_FILE

_OBJECT = TypeAdapter(dict[str, Any])


def open_subject(directory: Path, options: Options) -> Subject:
    """Check the directory's files and load the encoder in it. Raises SourceError, OptionError."""
    found = layout.find(directory)
    files.check_files(found.encoder, found.root)
    if is_ours(directory):
        subject: Subject = ours.open_subject(directory, options)
    else:
        subject = huggingface.open_subject(found, options)
    if options.max_tokens and subject.modality != "text":
        raise OptionError("max-tokens is for texts, and this encoder takes images")
    return subject


def is_ours(directory: Path) -> bool:
    """Our configs name their `kind`, Hugging Face's their `model_type`. A config that cannot be read is not ours."""
    try:
        return "kind" in _OBJECT.validate_json((directory / CONFIG_FILE).read_bytes())
    except (OSError, ValidationError):
        return False
