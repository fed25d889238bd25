"""Tests of packed encoders: equal to the trained original, item by item, in every architecture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact.arrays import Ints
from models.artifact.graph_inputs import pack
from models.packed import PackedLayout, eager_attention
from models.pooling import pool
from models.pretrained.loading import read_config
from models.pretrained.text import ARCHITECTURES, PretrainedTextEncoder, load_text_model, project
from tests.checkpoints import WORDS
from tests.hf_text import CONFIGS, write_text


def run_packed(encoder: PretrainedTextEncoder, items: list[Ints], offset: int) -> tuple[torch.Tensor, PackedLayout]:
    feeds = {name: torch.from_numpy(array) for name, array in pack(items, position_offset=offset).items()}
    layout = PackedLayout(feeds["pack_index"], feeds["unpack_index"], feeds["lengths"], eager_attention)
    return encoder(feeds["input_ids"], feeds["position_ids"], layout), layout


@pytest.mark.parametrize("kind", CONFIGS)
@torch.no_grad()
def test_packed_equals_eager(kind: str, tmp_path: Path) -> None:
    source, architecture = write_text(kind, tmp_path, like_trained=False), ARCHITECTURES[kind]
    offset = read_config(source).pad_token_id + 1 if architecture.padding_offset_positions else 0
    rng = np.random.default_rng(0)
    # Of the special ids only SEP, and that last: some architectures tell padding and ends by their ids.
    items = [np.append(rng.integers(3, len(WORDS), n - 1), 2) for n in (5, 1, 30, 5)]
    encoder = PretrainedTextEncoder(source, kind)
    embeddings, layout = run_packed(encoder, items, offset)
    eager = load_text_model(source, kind, attention="eager")
    for row, ids in enumerate(items):
        n = len(ids)
        out = eager(input_ids=torch.from_numpy(ids)[None], output_attentions=True)
        pooled = pool(out.last_hidden_state, torch.ones(1, n, dtype=torch.bool), encoder.pooling)
        own = out.get("text_embeds")  # CLIP pools by ids
        wanted = project(eager, architecture, pooled) if own is None else own
        torch.testing.assert_close(embeddings[row], wanted[0], atol=1e-5, rtol=0)
        for layer, expected in zip(layout.weights, out.attentions, strict=True):
            torch.testing.assert_close(layer[row, :, :n, :n], expected[0], atol=1e-5, rtol=0)
            assert (layer[row, :, :n, n:] == 0).all()


@pytest.mark.parametrize(
    ("kind", "named"),
    [("clip", "text_embeds"), ("siglip", "pooler_output"), ("siglip-2", "pooler_output"), ("siglip2", "pooler_output")],
)
@torch.no_grad()
def test_text_towers_give_the_vector_that_their_own_code_gives(kind: str, named: str, tmp_path: Path) -> None:
    source, model_type = write_text(kind, tmp_path, like_trained=False), kind.partition("-")[0]
    ids = np.array([1, 5, 6, 7, len(WORDS) - 1])  # the highest id ends a text, to a CLIP of this config
    vector, _ = run_packed(PretrainedTextEncoder(source, model_type), [ids], 0)
    out = load_text_model(source, model_type, attention="eager")(input_ids=torch.from_numpy(ids)[None])
    torch.testing.assert_close(vector, getattr(out, named), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["roberta", "camembert", "mpnet"])
@torch.no_grad()
def test_padding_tokens_in_a_text_are_not_counted(kind: str, tmp_path: Path) -> None:
    """A text can spell the padding token, and a config can name a token that every text has."""
    source = write_text(kind, tmp_path, like_trained=False)
    encoder, original = PretrainedTextEncoder(source, kind), load_text_model(source, kind, attention="eager")
    padding: int = original.config.pad_token_id
    items = [np.array([2, 5, padding, 6, padding, 7]), np.array([padding, 3]), np.array([4, 8])]
    vectors, _ = run_packed(encoder, items, padding + 1)
    for vector, ids in zip(vectors, items, strict=True):
        states = original(input_ids=torch.from_numpy(ids)[None]).last_hidden_state
        torch.testing.assert_close(vector, states[0].mean(0), atol=1e-5, rtol=0)
