"""The README keeps its word: its first request gives its first answer, and its settings are the service's."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.server import ROOT
from service.settings import Settings
from tests.server import Server

README = (ROOT / "README.md").read_text()


def code_block(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(found for found in blocks if containing in found)


def test_readme_first_request_prints_documented_response(server: Server) -> None:
    command = code_block("sh", "curl").replace("http://127.0.0.1:3000", server.url)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "\n" not in done.stdout
    assert_equal(json.loads(done.stdout), json.loads(code_block("json", '"object": "list"')))


WORDS = {"()": "none", "None": "none", "True": "true"}


def test_readme_lists_every_setting() -> None:
    rows = dict(re.findall(r"^\| `HEADLIGHT_(\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert {name.lower() for name in rows} == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        if name != "models":
            assert rows[name.upper()].strip("`") == WORDS.get(str(field.default), str(field.default))


def test_readme_links_resolve() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert Path(ROOT, target).exists()


def assert_equal(got: Any, documented: Any) -> None:
    """Equal, with numbers to five digits: processors differ in the last ones."""
    assert type(got) is type(documented)
    if isinstance(got, dict):
        assert got.keys() == documented.keys()
        for key in got:
            assert_equal(got[key], documented[key])
    elif isinstance(got, list):
        assert len(got) == len(documented)
        for pair in zip(got, documented, strict=True):
            assert_equal(*pair)
    else:
        assert got == (pytest.approx(documented, abs=1e-5) if isinstance(documented, float) else documented)
