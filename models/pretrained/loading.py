"""Opening a Hugging Face directory without running or fetching anything that is not already here."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

LOAD_ERRORS = (OSError, RuntimeError, SafetensorError, ValueError)
"""What `load` raises for files that are no model."""


def load(auto: Any, directory: Path, *, attention: str, **options: Any) -> PreTrainedModel:
    """Load what `auto` (a class of `transformers` with `from_pretrained`) finds in `directory`, in float32.

    `attention` is `routing.ROUTED`, or a name that `transformers` knows ("eager" returns its weights).
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model: PreTrainedModel = auto.from_pretrained(
        directory,
        attn_implementation=attention,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **options,
    )
    return model.eval()
