"""Tests of the comparison with another server: refused unless its embeddings are the same."""

import base64
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import orjson
import pytest

from bench.__main__ import main
from bench.compare_server import check_same_embeddings
from bench.interleaved import compare_rounds
from bench.server import ServerError
from bench.wrk import ClosedLoopResult
from tests.bench.http_server import QuietHandler, run_http_server

EmbedFunction = Callable[[Sequence[str]], tuple[int, object]]
"""From texts to status and JSON."""


@contextmanager
def run_embedding_server(embed: EmbedFunction) -> Iterator[str]:
    """The URL of a server of embeddings."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
            asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = embed(asked["input"])
            self.respond(status, orjson.dumps(answer))

    with run_http_server(Handler) as url:
        yield f"{url}/v1/embeddings"


def fake_embed(width: int, *, noise: float = 0.0, base64_supported: bool = True) -> EmbedFunction:
    """A vector of a text depends on the text alone, and is turned aside by such a share of its length."""

    def encode(text: str) -> str | list[float]:
        rng = np.random.default_rng(list(text.encode()))
        vector = (rng.standard_normal(width) + noise * rng.standard_normal(width)).astype("<f4")
        return base64.b64encode(vector.tobytes()).decode() if base64_supported else vector.tolist()

    return lambda texts: (200, {"data": [{"embedding": encode(text)} for text in texts]})


def test_check_ignores_rounding_and_encoding() -> None:
    with (
        run_embedding_server(fake_embed(384)) as ours,
        run_embedding_server(fake_embed(384, noise=1e-3, base64_supported=False)) as other,
    ):
        check_same_embeddings(ours, other, "their-name")


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (fake_embed(384, noise=0.5), r"cosine 0\.[89]"),
        (fake_embed(768), "12 embeddings of 768 dimensions, expected 12 of 384"),
        (lambda texts: fake_embed(384)(texts[:1]), "1 embeddings of 384 dimensions, expected 12 of 384"),
        (lambda _: (401, {"detail": "a key is wanted"}), "401: .*a key is wanted"),
        (lambda _: (200, {"vectors": []}), "not an OpenAI embeddings endpoint"),
        (lambda _: (200, [[0.5, 0.5]]), "not an OpenAI embeddings endpoint"),
        (
            lambda texts: (200, {"data": [{"embedding": [0.5] * len(text)} for text in texts]}),
            "not an OpenAI embeddings endpoint",
        ),
    ],
    ids=["pooling", "width", "one text", "key", "no data", "list", "ragged"],
)
def test_check_rejects_other_embeddings(answering: EmbedFunction, message: str) -> None:
    with (
        run_embedding_server(fake_embed(384)) as ours,
        run_embedding_server(answering) as other,
        pytest.raises(ServerError, match=message),
    ):
        check_same_embeddings(ours, other, "m")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1/embeddings", "127.0.0.1/v1/embeddings"])
def test_check_rejects_unreachable_server(url: str) -> None:
    with (
        run_embedding_server(fake_embed(384)) as ours,
        pytest.raises(ServerError, match="not an OpenAI embeddings endpoint"),
    ):
        check_same_embeddings(ours, url, "m")


def test_ratios_are_medians_over_rounds() -> None:
    ours = [ClosedLoopResult(100, 10, 20), ClosedLoopResult(50, 20, 40), ClosedLoopResult(90, 11, 22)]
    other = [ClosedLoopResult(50, 20, 30), ClosedLoopResult(25, 40, 60), ClosedLoopResult(90, 11, 30)]
    assert compare_rounds({"ours": ours, "other": other}) == {
        "ours_requests_per_s": 90, "other_requests_per_s": 50, "requests_per_s_over_other": 2,
        "ours_p50_ms": 11, "other_p50_ms": 20, "p50_ms_over_other": 0.5,
        "ours_p99_ms": 22, "other_p99_ms": 30, "p99_ms_over_other": pytest.approx(2 / 3),
    }  # fmt: skip


def test_against_requires_other_url(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    artifacts = ["--text", "a", "--int8", "b", "--image", "c"]
    monkeypatch.setattr(sys, "argv", ["bench", *artifacts, "--only", "against"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "--other" in capsys.readouterr().err
