"""Opening a Hugging Face directory without running or fetching anything that is not already here."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from models.pretrained.errors import PretrainedError


def read_config(directory: Path) -> Any:
    """config.json as `transformers` reads it, of an architecture that ships with it. Raises PretrainedError."""
    path = directory / "config.json"
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PretrainedError(f"{path} cannot be read: {_first_line(error)}") from error
    if getattr(config, "auto_map", None):
        raise PretrainedError(
            f"{path} asks for code of its own (auto_map), which is never run; "
            f"remove the entry if transformers' own {config.model_type!r} is what was trained"
        )
    return config


def load(auto: Any, directory: Path, *, attention: str, **options: Any) -> PreTrainedModel:
    """Load what `auto` (a class of `transformers` with `from_pretrained`) finds in `directory`, in float32.

    `attention` is `routing.ROUTED`, or a name that `transformers` knows ("eager" returns its weights). Raises
    PretrainedError for files that are no such model, or that leave any of its weights to chance.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, found = auto.from_pretrained(
            directory,
            attn_implementation=attention,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (OSError, RuntimeError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise PretrainedError(f"the weights in {directory} cannot be loaded: {_first_line(error)}") from error
    if found["missing_keys"]:
        first, *others = sorted(found["missing_keys"])
        more = f" and {len(others)} more" if others else ""
        raise PretrainedError(f"the weights in {directory} lack {first}{more}")
    loaded: PreTrainedModel = model.eval()
    return loaded


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
