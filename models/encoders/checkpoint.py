"""Native checkpoint: a directory with config.json (the encoder's config) and model.safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.encoders.registry import Config, Encoder, build, from_dict
from models.filenames import CONFIG_FILE, WEIGHTS_FILE

_FIELDS = TypeAdapter(dict[str, Any])


class CheckpointError(ValueError):
    """A directory that holds no native encoder; the message names the file."""


def save(encoder: Encoder, directory: Path) -> None:
    """Write the encoder and its config into `directory`, made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIG_FILE).write_text(encoder.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    weights = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    part = directory / f"{WEIGHTS_FILE}.part"
    save_file(weights, part)
    part.chmod(0o644)  # safetensors creates it as 0600; the export may run as another user
    part.replace(directory / WEIGHTS_FILE)


def load(directory: Path) -> Encoder:
    """Load the encoder of `directory` in evaluation mode. Raises CheckpointError or ConfigError."""
    config, weights = directory / CONFIG_FILE, directory / WEIGHTS_FILE
    try:
        fields = _FIELDS.validate_json(config.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{config} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise CheckpointError(f"{config} is not a JSON object") from error
    expected = _shapes(from_dict(fields))
    if not weights.is_file():
        raise CheckpointError(f"{weights} is missing")
    try:
        found = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights} is invalid: {error}") from error
    _check_weights(expected, found, weights)
    encoder = build(from_dict(fields))
    encoder.load_state_dict(found)
    return encoder.eval()


def _shapes(config: Config) -> dict[str, torch.Size]:
    """Return the shapes of a config's weights without allocating them. Raises ConfigError."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build(config).state_dict().items()}


def _check_weights(expected: Mapping[str, torch.Size], found: Mapping[str, Tensor], weights: Path) -> None:
    """Compare the weights with the config before the encoder is built. Raises CheckpointError."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected or found[name].shape != expected[name]:
            raise CheckpointError(f"{weights} does not fit {CONFIG_FILE}: {name}")
        if not found[name].isfinite().all():
            raise CheckpointError(f"{weights} has a value in {name} that is not finite")
