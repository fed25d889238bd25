"""Models of long texts: what attention takes grows with the square of the length, at warm-up and for a request."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from models.contract import tensors
from models.contract.arrays import Data, Floats
from models.contract.manifest import AttentionSpec, Manifest, TextSpec
from models.preprocess.text import TextPreprocessor
from service.engine.attention import AttentionQuery
from service.engine.lengths import BatchLimits
from service.runtime.encoder import EMBEDDING_ONLY, VECTORS, TextEncoder
from service.runtime.session import Session
from service.warmup import warm_up
from tests.service.conftest import URL, Serving

LAYERS, HEADS, TOKENS = 24, 16, 8_192
WORKSPACE = 256 * 2**20


class Recording(TextEncoder):
    """Of the size of BGE-M3; notes what it is asked to run, and computes nothing."""

    def __init__(self, small: Manifest) -> None:
        text = TextSpec(max_tokens=TOKENS, vocabulary_size=10, position_offset=0)
        graph = small.graph.model_copy(update={"outputs": tensors.outputs(LAYERS)})
        changed = {"text": text, "graph": graph, "attention": AttentionSpec(heads=(HEADS,) * LAYERS)}
        super().__init__(small.model_copy(update=changed), text, cast("Session", None), cast("TextPreprocessor", None))
        self.ran: list[tuple[int, int, tuple[str, ...]]] = []

    def run(
        self,
        items: Sequence[Data],
        outputs: Sequence[str] = EMBEDDING_ONLY,
        heads: Sequence[int] = (),
        *,
        alone: bool = True,
    ) -> dict[str, Floats]:
        self.ran.append((len(items[0]), len(items), tuple(outputs)))
        return {}


@pytest.fixture
def long(tiny: Path) -> Recording:
    return Recording(Manifest.read(tiny))


def test_a_long_model_is_warmed_up_within_what_a_request_may_take(long: Recording) -> None:
    warm_up(long, BatchLimits(tokens=512, cells=WORKSPACE // 2 // (4 * LAYERS * HEADS)), WORKSPACE)
    assert long.ran[0] == (TOKENS, 1, VECTORS)
    assert (1, 1, EMBEDDING_ONLY) in long.ran
    rollout = AttentionQuery().plan(long.manifest)
    raw = AttentionQuery(reduce="raw", query="all").plan(long.manifest)
    observed = {outputs: (positions, items) for positions, items, outputs in long.ran if len(outputs) > 1}
    assert observed[tensors.EMBEDDING, *rollout.outputs] == (rollout.longest(TOKENS, WORKSPACE), 1)
    assert observed[long.manifest.graph.outputs] == (raw.longest(TOKENS, WORKSPACE), 1)


@pytest.mark.parametrize(
    "query",
    [
        AttentionQuery(),
        AttentionQuery(reduce="max", query="all"),
        AttentionQuery(reduce="raw", query="all"),
        AttentionQuery(reduce="raw", heads="mean"),
        AttentionQuery(reduce="raw", layers=(3,), heads=(1,), top_k=2),
    ],
)
def test_the_longest_is_what_the_workspace_holds(long: Recording, query: AttentionQuery) -> None:
    plan = query.plan(long.manifest)
    longest = plan.longest(TOKENS, WORKSPACE)
    assert plan.workspace_bytes(longest) <= WORKSPACE < plan.workspace_bytes(longest + 1)
    assert plan.longest(longest - 1, WORKSPACE) == longest - 1


def test_a_layer_at_a_time_is_held_of_what_is_reduced_and_every_layer_of_what_is_given(long: Recording) -> None:
    n, layer = 100, 4 * HEADS * 100**2
    sizes = [
        AttentionQuery(reduce=reduce, query="all").plan(long.manifest).workspace_bytes(n) for reduce in ("last", "raw")
    ]
    np.testing.assert_allclose(sizes, [3 * layer + 4 * n**2, (3 + LAYERS) * layer])


def test_what_would_take_too_much_is_refused_with_a_way_out(serving: Serving) -> None:
    with serving(max_attention_bytes=4_096) as client:
        body = {"model": "tiny", "input": "lamp " * 40, "attention": True}
        answer = client.post(URL, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "attention_too_large", "attention")
        assert "takes 76960 bytes to compute, at most 32768 are held" in error["message"]
        assert "reduce=raw with fewer layers and heads" in error["message"]
        (longest,) = map(int, re.findall(r"at most (\d+) tokens", error["message"]))
        for words, status in ((longest - 2, 200), (longest - 1, 400)):  # and two special tokens
            assert client.post(URL, json=body | {"input": "lamp " * words}).status_code == status
        one = {"reduce": "raw", "layers": [0], "heads": [1], "query": "pool"}
        assert client.post(URL, json=body | {"attention": one}).status_code == 200
        assert client.post(URL, json=body | {"attention": None}).status_code == 200
