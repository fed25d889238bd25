"""Export targets of a Hugging Face directory: its config names the modality, or has a tower for each."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import RootModel

from export import task
from export.errors import OptionError, SourceError
from export.options import ExportOptions
from export.source_checks import parse
from export.source_layout import SourceLayout
from export.targets.base import ExportTarget
from export.targets.huggingface_image import load_image_target
from export.targets.huggingface_text import load_text_target
from models.artifact.specs import Modality
from models.filenames import CONFIG_FILE
from models.pretrained.architectures import ARCHITECTURES as IMAGE
from models.pretrained.architectures import find_architecture
from models.pretrained.errors import PretrainedError
from models.pretrained.loading import read_config
from models.pretrained.text import ARCHITECTURES as TEXT

KNOWN_ARCHITECTURES: dict[Modality, Collection[str]] = {"text": TEXT, "image": IMAGE}
"""Architectures by `model_type`; `architectures` of the config can be more specific."""


def load_target(layout: SourceLayout, options: ExportOptions) -> ExportTarget:
    """Open the encoder of a layout.

    Raises SourceError for a directory that is no encoder that can be exported, OptionError for a tower it has not.
    """
    try:
        config = read_config(layout.encoder)
        modality = _choose_modality(layout.encoder, config, options)
        raw = parse(layout.encoder / CONFIG_FILE, RootModel[dict[str, Any]]).root
        layout, found, notes = task.resolve_task(layout, raw, config, modality, options)
        return (load_text_target if modality == "text" else load_image_target)(layout, config, options, found, notes)
    except PretrainedError as error:
        raise SourceError(str(error)) from error


def supported_modalities(config: Any) -> tuple[Modality, ...]:
    """Return the modalities of an encoder with this config."""
    architectures: dict[Modality, object] = {"text": TEXT.get(config.model_type), "image": find_architecture(config)}
    return tuple(modality for modality, architecture in architectures.items() if architecture)


def _choose_modality(directory: Path, config: Any, options: ExportOptions) -> Modality:
    found = supported_modalities(config)
    if not found:
        known = "; ".join(
            f"{name}: {', '.join(k for k in kinds if k.islower())}" for name, kinds in KNOWN_ARCHITECTURES.items()
        )
        raise SourceError(f"model_type {config.model_type!r} in {directory / CONFIG_FILE} cannot be exported; {known}")
    if options.modality is None and len(found) > 1:
        raise OptionError(f"{directory} has a tower for {' and one for '.join(found)}; choose with --modality")
    modality = options.modality or found[0]
    if modality not in found:
        raise OptionError(f"{directory} takes {found[0]} inputs, not {modality}")
    return modality
