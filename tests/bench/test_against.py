"""Another server is compared with only where it embeds alike."""

import base64
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import orjson
import pytest

from bench.__main__ import main
from bench.against import check_alike, ratios
from bench.server import ServerFailed
from bench.turns import medians
from bench.wrk import Sent
from tests.bench.listening import Quiet, listening

Answering = Callable[[Sequence[str]], tuple[int, object]]
"""From texts to status and JSON."""


@contextmanager
def serving(answering: Answering) -> Iterator[str]:
    """The URL of a server of embeddings."""

    class Handler(Quiet):
        def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
            asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = answering(asked["input"])
            self.answer(status, orjson.dumps(answer))

    with listening(Handler) as url:
        yield f"{url}/v1/embeddings"


def embedding(width: int, *, turned: float = 0.0, base64_known: bool = True) -> Answering:
    """A vector of a text depends on the text alone, and is turned aside by such a share of its length."""

    def told(text: str) -> str | list[float]:
        rng = np.random.default_rng(list(text.encode()))
        vector = (rng.standard_normal(width) + turned * rng.standard_normal(width)).astype("<f4")
        return base64.b64encode(vector.tobytes()).decode() if base64_known else vector.tolist()

    return lambda texts: (200, {"data": [{"embedding": told(text)} for text in texts]})


def test_rounding_and_the_way_of_writing_make_no_difference() -> None:
    with serving(embedding(384)) as ours, serving(embedding(384, turned=1e-3, base64_known=False)) as other:
        check_alike(ours, other, "their-name")


@pytest.mark.parametrize(
    ("answering", "told"),
    [
        (embedding(384, turned=0.5), r"cosine of 0\.[89]"),
        (embedding(768), "12 vectors of 768 numbers, not 12 of 384"),
        (lambda texts: embedding(384)(texts[:1]), "1 vectors of 384 numbers, not 12 of 384"),
        (lambda _: (401, {"detail": "a key is wanted"}), "401: .*a key is wanted"),
        (lambda _: (200, {"vectors": []}), "as OpenAI's endpoint does"),
        (lambda _: (200, [[0.5, 0.5]]), "as OpenAI's endpoint does"),
        (
            lambda texts: (200, {"data": [{"embedding": [0.5] * len(text)} for text in texts]}),
            "as OpenAI's endpoint does",
        ),
    ],
    ids=["pooling", "width", "one text", "key", "no data", "list", "ragged"],
)
def test_who_embeds_otherwise_is_told(answering: Answering, told: str) -> None:
    with serving(embedding(384)) as ours, serving(answering) as other, pytest.raises(ServerFailed, match=told):
        check_alike(ours, other, "m")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1/embeddings", "127.0.0.1/v1/embeddings"])
def test_who_is_not_there_is_told(url: str) -> None:
    with serving(embedding(384)) as ours, pytest.raises(ServerFailed, match="as OpenAI's endpoint does"):
        check_alike(ours, url, "m")


def test_ratios_are_of_each_round_and_medians_of_those() -> None:
    ours = [Sent(100, 10, 20), Sent(50, 20, 40), Sent(90, 11, 22)]
    other = [Sent(50, 20, 30), Sent(25, 40, 60), Sent(90, 11, 30)]
    assert ratios(ours, other) == {"rate_of_other": 2, "p50_of_other": 0.5}
    assert medians({"ours": ours}) == {"ours_per_s": 90, "ours_p50_ms": 11, "ours_p99_ms": 22}


def test_it_takes_another_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    artifacts = ["--text", "a", "--int8", "b", "--image", "c"]
    monkeypatch.setattr(sys, "argv", ["bench", *artifacts, "--only", "against"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "--other" in capsys.readouterr().err
