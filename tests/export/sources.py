"""What the tests of a source do with one: change a file of it, open it, and see it refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from export.errors import ExportError
from export.options import Options
from export.subjects.opening import open_subject
from export.subjects.text import TextSubject
from models.contract.specs import TextSpec


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def spec(source: Path, **options: Any) -> TextSpec:
    subject = open_subject(source, Options(**options))
    assert isinstance(subject, TextSubject)
    assert subject.text is not None
    return subject.text


def refusal(source: Path) -> str:
    """What is told of a source that cannot be opened, which is one line."""
    with pytest.raises(ExportError) as refused:
        open_subject(source, Options())
    assert "\n" not in str(refused.value)
    return str(refused.value)
