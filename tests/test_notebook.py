"""Tests of docs/guides/notebook.md: its code runs and prints the documented output."""

import os
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from bench.server import ROOT
from tests.server import Server

PAGE = (ROOT / "docs/guides/notebook.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(
    r"(?<!needs bertviz -->\n)```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL
)
"""Code, and what the page says that it prints."""

FIGURE = ROOT / "docs/plots/notebook.png"

NUMBER = re.compile(r"\d+\.\d+")


@pytest.fixture(scope="module")
def notebook(both: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the cells leave, run one after the other in a folder that holds the image."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "docs").symlink_to(ROOT / "docs")
    names: dict[str, Any] = {"__name__": "notebook", "folder": folder}
    before = Path.cwd()
    os.chdir(folder)
    try:
        with mpl.rc_context({"backend": "Agg"}):
            for code, said in BLOCKS:
                assert_output_matches(run(code.replace("http://127.0.0.1:3000", both.url), names), said)
    finally:
        os.chdir(before)
    return names


def run(code: str, names: dict[str, Any]) -> str:
    with redirect_stdout(StringIO()) as printed:
        exec(compile(code, "docs/guides/notebook.md", "exec"), names)  # noqa: S102 - our own page
    return printed.getvalue()


def assert_output_matches(printed: str, documented: str) -> None:
    """The same words, and numbers to a hundredth: processors differ in the last digits."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", documented)
    found, expected = (np.array(NUMBER.findall(text), dtype=float) for text in (printed, documented))
    np.testing.assert_allclose(found, expected, atol=0.011)


def test_notebook_patches_print_documented_output(notebook: dict[str, Any]) -> None:
    assert len(BLOCKS) == 5
    assert notebook["text"].values.sum() == pytest.approx(1, abs=2e-3)


def test_notebook_figure_matches_docs(notebook: dict[str, Any]) -> None:
    drawn, shown = (Image.open(path).convert("RGB") for path in (notebook["folder"] / "notebook.png", FIGURE))
    assert drawn.size == shown.size
    assert np.abs(np.asarray(drawn, dtype=float) - np.asarray(shown, dtype=float)).mean() < 2


def test_notebook_weights_fit_bertviz(notebook: dict[str, Any]) -> None:
    """As its `format_attention` asks: a tensor `[1, heads, n, n]` for each layer, over as many tokens."""
    weights, tokens = notebook["weights"], notebook["tokens"]
    for layer in map(torch.from_numpy, weights):
        assert layer.shape == (1, 12, len(tokens), len(tokens))
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(layer.shape[:-1]), atol=2e-3, rtol=0)
    assert torch.stack([torch.from_numpy(layer).squeeze(0) for layer in weights]).shape[:2] == (6, 12)


def test_notebook_image_has_token_per_position(notebook: dict[str, Any]) -> None:
    picture = notebook["attend"]((ROOT / "docs/scene.png").read_bytes(), reduce="raw", layers=[5])
    assert picture.values.shape[-1] == len(picture.tokens) == 65
    assert picture.tokens[:2] == ["prefix", "0,0"]
