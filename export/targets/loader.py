"""Loading of an export target: config.json tells native checkpoints from those of Hugging Face."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from export import source_checks
from export import source_layout as layout
from export.errors import OptionError
from export.options import ExportOptions
from export.targets import huggingface, native_checkpoint
from export.targets.base import ExportTarget
from models.filenames import CONFIG_FILE

_OBJECT = TypeAdapter(dict[str, Any])


def load_target(directory: Path, options: ExportOptions) -> ExportTarget:
    """Check the directory's files and load the encoder in it. Raises SourceError, OptionError."""
    source_layout = layout.find_layout(directory)
    source_checks.check_files(source_layout.encoder, source_layout.root)
    if is_native(directory):
        target: ExportTarget = native_checkpoint.load_target(directory, options)
    else:
        target = huggingface.load_target(source_layout, options)
    if options.max_tokens and target.modality != "text":
        raise OptionError("max-tokens requires a text encoder; this one takes images")
    return target


def is_native(directory: Path) -> bool:
    """Our configs name their `kind`, Hugging Face's their `model_type`. A config that cannot be read is not ours."""
    try:
        return "kind" in _OBJECT.validate_json((directory / CONFIG_FILE).read_bytes())
    except (OSError, ValidationError):
        return False
