"""Tests of commands and code in README and the documentation: executed, or checked where that is impossible."""

import argparse
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

import export.__main__
import loadtests.compare
from bench.server import ROOT
from service.settings import Settings
from tests.docs.snippets import PAGES, Snippet, snippets
from tests.server import Server

DOCUMENTED_URL = re.compile(r"http://(127\.0\.0\.1:3000|headlight-predictor)")
NUMBER = re.compile(r"-?\d+\.\d+")
ALL = [snippet for page in PAGES for snippet in snippets(page)]
SHELL = [pytest.param(command, snippet, id=f"{snippet.page}: {command[:60]}")
         for snippet in ALL if snippet.kind == "sh" for command in snippet.commands]  # fmt: skip
PYTHON_PAGES = sorted({snippet.page for snippet in ALL if snippet.kind == "python"})

PARSERS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "export": export.__main__.build_parser,
    "loadtests.compare": loadtests.compare.build_parser,
}


def test_blocks_have_a_known_kind() -> None:
    assert {snippet.kind for snippet in ALL} == {"sh", "python", "yaml"}


@pytest.mark.parametrize(("command", "snippet"), SHELL)
def test_shell_command_works(command: str, snippet: Snippet, documented: Server, tmp_path: Path) -> None:
    words = shlex.split(command)
    while "=" in words[0]:
        assert words.pop(0).partition("=")[0].removeprefix("HEADLIGHT_").lower() in Settings.model_fields
    match Path(words[0]).name:
        case "curl":
            run_curl(command, snippet.output, documented, tmp_path)
        case "make":
            check_make(words)
        case "python":
            check_module(words)
        case "docker" | "kubectl":
            assert len(words) > 1  # no engine and no cluster here; tests/deploy checks what they are given
        case program:
            pytest.fail(f"no check for {program}; add one, or mark the block as not tested")


def run_curl(command: str, documented: str | None, server: Server, folder: Path) -> None:
    (folder / "docs").symlink_to(ROOT / "docs")
    command = DOCUMENTED_URL.sub(server.url, command).replace("curl ", "curl --fail-with-body ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout
    if documented is not None:
        assert_equal(json.loads(done.stdout), json.loads(documented))


def check_make(words: Sequence[str]) -> None:
    """The target and its variables exist, no name is deprecated, and export's options are understood."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    variables = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    (target,) = (word for word in words[1:] if "=" not in word)
    assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE)
    for name in variables:
        assert re.search(rf"^{name} +\?=", makefile, re.MULTILINE)
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "deprecated" not in done.stderr
    if target == "export":
        options = shlex.split(variables.get("ARGS", ""))
        PARSERS["export"]().parse_args([variables["SOURCE"], "--name", variables["NAME"], *options])


def check_module(words: Sequence[str]) -> None:
    module, arguments = words[2], words[3:]
    assert words[1] == "-m"
    assert find_spec(module)
    if module in PARSERS and arguments[0] not in ("inspect", "verify"):
        PARSERS[module]().parse_args(arguments)


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_of_a_page_prints_documented_output(
    page: str, documented: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, Any] = {"__name__": "page"}
    for snippet in ALL:
        if (snippet.page, snippet.kind) == (page, "python"):
            with redirect_stdout(StringIO()) as printed:
                exec(compile(DOCUMENTED_URL.sub(documented.url, snippet.code), page, "exec"), names)  # noqa: S102
            assert_alike(printed.getvalue(), snippet.output or "")


def test_yaml_is_valid() -> None:
    for snippet in ALL:
        if snippet.kind == "yaml":
            assert yaml.safe_load(snippet.code)["kind"]


def test_inline_commands_exist() -> None:
    """`make ...` in the middle of sentences names targets and variables that exist."""
    commands = {match for page in PAGES for match in re.findall(r"`(make [^`]+)`", page.read_text(encoding="utf-8"))}
    assert len(commands) > 10
    for command in commands:
        check_make(shlex.split(command.replace("...", "x")))


def test_documented_settings_exist() -> None:
    known = {f"HEADLIGHT_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        named = set(re.findall(r"`(HEADLIGHT_[A-Z_]+)", page.read_text(encoding="utf-8")))
        assert named <= known | {"HEADLIGHT_"}, page


def test_documented_files_exist() -> None:
    """Paths of files in backticks, decisions included."""
    pages = [*PAGES, *ROOT.glob("docs/adr/*.md")]
    for page in pages:
        for path in re.findall(
            r"`((?:service|models|export|loadtests|bench|deploy|tests|docs)/[\w./-]+\.\w+)`",
            page.read_text(encoding="utf-8"),
        ):
            assert (ROOT / path).exists(), (page.name, path)


def assert_equal(got: Any, documented: Any) -> None:
    """Assert equality, with numbers to five digits: processors differ in the last ones."""
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


def assert_alike(printed: str, documented: str) -> None:
    """Assert the same words, and numbers to a hundredth."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", documented)
    found, expected = (list(map(float, NUMBER.findall(text))) for text in (printed, documented))
    assert found == pytest.approx(expected, abs=0.011)


def test_pages_are_found() -> None:
    assert len(PAGES) >= 15
    assert os.path.relpath(ROOT / "README.md", ROOT) in {snippet.page for snippet in ALL}
