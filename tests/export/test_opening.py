"""What is alike in sources of every kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from export.errors import OptionError
from export.options import Options
from export.subjects.opening import open_subject
from tests import encoders, hf_vision


@pytest.mark.parametrize("write", [encoders.write, hf_vision.write])
def test_a_limit_of_tokens_is_for_texts(write: Callable[[str, Path], object], tmp_path: Path) -> None:
    write("vit", tmp_path)
    with pytest.raises(OptionError, match="max-tokens is for texts, and this encoder takes images"):
        open_subject(tmp_path, Options(max_tokens=8))
