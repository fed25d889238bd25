"""Tests of head weights: those of every `transformers` class of a family are ignored, and nothing else is."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from models.pretrained.text import load_text_model
from tests.hf_text import CONFIGS

_OTHER_PREFIX = ("Qwen3ForQuestionAnswering",)
"""Classes that keep the encoder under a name of their own, where transformers' AutoModel does not find it either."""


def _classes() -> Iterator[Any]:
    """(model_type, class): the heads on a family's encoder, in the family's own module."""
    for kind, config in CONFIGS.items():
        made = config()
        module = inspect.getmodule(transformers.AutoModel.from_config(made).__class__)
        for name, found in vars(module).items():
            if inspect.isclass(found) and "For" in name and getattr(found, "config_class", None) is type(made):
                yield pytest.param(kind, found, id=name)


@pytest.mark.parametrize(
    ("kind", "head"), [each for each in _classes() if "Image" not in str(each.id) and each.id not in _OTHER_PREFIX]
)
def test_encoder_behind_a_head_is_loaded(tmp_path: Path, kind: str, head: Any) -> None:
    trained = head(CONFIGS[kind]())
    trained.save_pretrained(tmp_path)
    saved, loaded = trained.base_model.state_dict(), load_text_model(tmp_path, kind, attention="eager").state_dict()
    assert loaded.keys() <= saved.keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.items())
