"""Text families against `transformers`' own code in float64: one padded batch of ragged lengths with its mask.

Lengths are past every window and most buckets, and items differ from their neighbors in the batch, so that a token seen
across a border or in padding shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from models.artifact.arrays import Ints
from models.artifact.graph_inputs import pack
from models.packed import PackedLayout, eager_attention, sdpa_attention
from models.pretrained.keep_float64 import KeepFloat64
from models.pretrained.text import PretrainedTextEncoder, load_text_model
from tests.checkpoints import PAD, WORDS
from tests.hf_text import CONFIGS, VARIANTS, write_text

KINDS = [
    "albert",
    "deberta-v2",
    "mobilebert",
    "qwen3",
    "gemma3_text",
    *(name for name in VARIANTS if name != "siglip-2"),
]

TABLES = 1e-6
"""How far DeBERTa may be off: its tables are made once and rounded to float32."""


def items_of(lengths: Sequence[int]) -> list[Ints]:
    rng = np.random.default_rng(0)
    return [rng.integers(3, len(WORDS), n) for n in lengths]


def packed(encoder: PretrainedTextEncoder, items: list[Ints], *, watched: bool = True) -> tuple[Tensor, PackedLayout]:
    """The states `[b, s, e]` of each item."""
    fed = {name: torch.from_numpy(array) for name, array in pack(items).items()}
    attention_function = eager_attention if watched else sdpa_attention
    layout = PackedLayout(fed["pack_index"], fed["unpack_index"], fed["lengths"], attention_function)
    with KeepFloat64():
        encoder(fed["input_ids"], fed["position_ids"], layout)
    assert layout.token_embeddings is not None
    return layout.unpack(layout.token_embeddings), layout


def padded(model: Any, items: list[Ints]) -> Any:
    longest = max(map(len, items))
    ids = torch.tensor([[*item, *[PAD] * (longest - len(item))] for item in items])
    mask = torch.tensor([[1] * len(item) + [0] * (longest - len(item)) for item in items])
    with KeepFloat64():
        return model(input_ids=ids, attention_mask=mask, output_attentions=True)


def compare(source: Path, lengths: Sequence[int]) -> None:
    kind = transformers.AutoConfig.from_pretrained(source).model_type
    items = items_of(lengths)
    encoder = PretrainedTextEncoder(source, kind).double()
    ours, layout = packed(encoder, items)
    theirs = padded(load_text_model(source, kind, attention="eager").double(), items)
    tolerance = TABLES if kind == "deberta-v2" else 1e-12
    assert len(layout.weights) == len(theirs.attentions)
    for row, n in enumerate(lengths):
        torch.testing.assert_close(ours[row, :n], theirs.last_hidden_state[row, :n], atol=tolerance, rtol=0)
        for found, wanted in zip(layout.weights, theirs.attentions, strict=True):
            torch.testing.assert_close(found[row, :, :n, :n], wanted[row, :, :n, :n], atol=tolerance, rtol=0)
            assert (found[row, :, :n, n:] == 0).all()
    fused, _ = packed(encoder, items, watched=False)
    for row, n in enumerate(lengths):
        torch.testing.assert_close(fused[row, :n], ours[row, :n], atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_packed_states_equal_a_padded_batchs(kind: str, tmp_path: Path) -> None:
    source = write_text(kind, tmp_path, like_trained=False)
    if "mobilebert" in kind:
        _silence_padding(source)
    compare(source, (5, 1, 40, 17, 2))


def _silence_padding(source: Path) -> None:
    """Make [PAD] zeros: to MobileBERT the last token of a padded text has it for a neighbor, of one alone, zeros."""
    model = transformers.AutoModel.from_pretrained(source)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[PAD] = 0
    model.save_pretrained(source)


@pytest.mark.parametrize("changes", [{}, {"max_relative_positions": 600}, {"position_buckets": 32}], ids=str)
@torch.no_grad()
def test_deberta_buckets_equal_at_full_length(changes: dict[str, int], tmp_path: Path) -> None:
    """The sizes of microsoft/deberta-v3-base but for its widths: 512 positions, distances past 128 in buckets."""
    config = CONFIGS["deberta-v2"]()
    config.update({"max_position_embeddings": 512, "position_buckets": 256, "num_hidden_layers": 1, **changes})
    source = write_text("deberta-v2", tmp_path, config=config, like_trained=False)
    compare(source, (512, 300, 7))


@torch.no_grad()
def test_mobilebert_neighbors_stay_within_an_item(tmp_path: Path) -> None:
    source = write_text("mobilebert", tmp_path, like_trained=False)
    encoder = PretrainedTextEncoder(source, "mobilebert").double()
    items = items_of((5, 1, 12))
    together, _ = packed(encoder, items)
    eager = load_text_model(source, "mobilebert", attention="eager").double()
    for row, item in enumerate(items):
        alone = eager(input_ids=torch.from_numpy(item)[None]).last_hidden_state[0]
        torch.testing.assert_close(together[row, : len(item)], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("kind", "layer", "before", "after"),
    [
        ("qwen3", 0, 30, 0),
        ("qwen3-sliding", 1, 4, 0),
        ("qwen3-bidirectional", 0, 30, 30),
        ("gemma3_text-causal", 0, 4, 0),
        ("gemma3_text-causal", 1, 30, 0),
        ("gemma3_text", 0, 4, 4),  # of a window of 8, half to each side
        ("gemma3_text-odd", 0, 2, 2),
        ("gemma3_text", 1, 30, 30),
    ],
)
@torch.no_grad()
def test_decoder_layer_sees_its_window(kind: str, layer: int, before: int, after: int, tmp_path: Path) -> None:
    source = write_text(kind, tmp_path, like_trained=False)
    encoder = PretrainedTextEncoder(source, kind.partition("-")[0])
    _, layout = packed(encoder, items_of((31, 3)))
    seen = (layout.weights[layer][0] > 0).all(dim=0)
    distance = torch.arange(31)[None] - torch.arange(31)[:, None]
    assert torch.equal(seen, (distance >= -before) & (distance <= after))
