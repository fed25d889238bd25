"""Tests that hold for sources of every kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from export.errors import OptionError
from export.options import ExportOptions
from export.targets.loader import load_target
from tests import encoders, hf_vision


@pytest.mark.parametrize("write", [encoders.write_checkpoint, hf_vision.write_checkpoint])
def test_limit_of_tokens_is_for_texts(write: Callable[[str, Path], object], tmp_path: Path) -> None:
    write("vit", tmp_path)
    with pytest.raises(OptionError, match="max-tokens requires a text encoder; this one takes images"):
        load_target(tmp_path, ExportOptions(max_tokens=8))
