"""Tests of models with long contexts: attention memory grows with the square of the length."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from models.artifact.manifest import AttentionSpec, Manifest, TextSpec
from models.preprocess.text import TextPreprocessor
from service.engine.plan import AttentionOptions
from service.engine.waiting_queue import BatchLimits
from service.model_loader import warm_up
from service.runtime.encoder import OUTPUT_AND_TOKENS, OUTPUT_ONLY, TextEncoder
from service.runtime.session import Session
from tests.service.conftest import URL, ClientFactory

LAYERS, HEADS, TOKENS = 24, 16, 8_192
WORKSPACE = 256 * 2**20


class Recording(TextEncoder):
    """Of the size of BGE-M3; notes what it is asked to run, and computes nothing."""

    def __init__(self, small: Manifest) -> None:
        text = TextSpec(max_tokens=TOKENS, vocab_size=10, position_offset=0)
        graph = small.graph.model_copy(update={"outputs": tensors.graph_outputs(LAYERS)})
        changed = {"text": text, "graph": graph, "attention": AttentionSpec(heads=(HEADS,) * LAYERS)}
        super().__init__(small.model_copy(update=changed), text, cast("Session", None), cast("TextPreprocessor", None))
        self.ran: list[tuple[int, int, tuple[str, ...]]] = []

    def run(
        self,
        items: Sequence[InputArray],
        outputs: Sequence[str] = OUTPUT_ONLY,
        heads: Sequence[int] = (),
        *,
        exclusive: bool = True,
    ) -> dict[str, Floats]:
        self.ran.append((len(items[0]), len(items), tuple(outputs)))
        return {}


@pytest.fixture
def long(tiny: Path) -> Recording:
    return Recording(Manifest.read(tiny))


def test_warmup_of_long_model_stays_within_workspace(long: Recording) -> None:
    warm_up(long, BatchLimits(tokens=512, attention_elements=WORKSPACE // 2 // (4 * LAYERS * HEADS)), WORKSPACE)
    assert long.ran[0] == (TOKENS, 1, OUTPUT_AND_TOKENS)
    assert (1, 1, OUTPUT_ONLY) in long.ran
    rollout = AttentionOptions().plan(long.manifest)
    raw = AttentionOptions(reduce="raw", query="all").plan(long.manifest)
    observed = {outputs: (positions, items) for positions, items, outputs in long.ran if len(outputs) > 1}
    assert observed[tensors.OUTPUT, *rollout.outputs] == (rollout.max_positions(TOKENS, WORKSPACE), 1)
    assert observed[long.manifest.graph.outputs] == (raw.max_positions(TOKENS, WORKSPACE), 1)


@pytest.mark.parametrize(
    "query",
    [
        AttentionOptions(),
        AttentionOptions(reduce="max", query="all"),
        AttentionOptions(reduce="raw", query="all"),
        AttentionOptions(reduce="raw", heads="mean"),
        AttentionOptions(reduce="raw", layers=(3,), heads=(1,), top_k=2),
    ],
)
def test_max_positions_fit_the_workspace(long: Recording, query: AttentionOptions) -> None:
    plan = query.plan(long.manifest)
    longest = plan.max_positions(TOKENS, WORKSPACE)
    assert plan.workspace_bytes(longest) <= WORKSPACE < plan.workspace_bytes(longest + 1)
    assert plan.max_positions(longest - 1, WORKSPACE) == longest - 1


def test_workspace_of_reductions_and_raw_weights(long: Recording) -> None:
    n, layer = 100, 4 * HEADS * 100**2
    sizes = [
        AttentionOptions(reduce=reduce, query="all").plan(long.manifest).workspace_bytes(n)
        for reduce in ("last", "raw")
    ]
    np.testing.assert_allclose(sizes, [3 * layer + 4 * n**2, (3 + LAYERS) * layer])


def test_attention_too_large_suggests_alternatives(serving: ClientFactory) -> None:
    with serving(max_attention_bytes=4_096) as client:
        body = {"model": "tiny", "input": "lamp " * 40, "attention": True}
        answer = client.post(URL, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "attention_too_large", "attention")
        assert "takes 76960 bytes, limit 32768" in error["message"]
        assert "reduce=raw with fewer layers and heads" in error["message"]
        (longest,) = map(int, re.findall(r"at most (\d+) tokens", error["message"]))
        for words, status in ((longest - 2, 200), (longest - 1, 400)):  # and two special tokens
            assert client.post(URL, json=body | {"input": "lamp " * words}).status_code == status
        one = {"reduce": "raw", "layers": [0], "heads": [1], "query": "pool"}
        assert client.post(URL, json=body | {"attention": one}).status_code == 200
        assert client.post(URL, json=body | {"attention": None}).status_code == 200
