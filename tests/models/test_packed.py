"""Packed and padding-free is the same encoder as the trained original, item by item."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.contract.arrays import Ints
from models.contract.packing import pack
from models.packed import Layout, torch_spelling
from models.pretrained import PACKED, PackedTextEncoder, load
from tests.checkpoints import WORDS, write_bert, write_roberta


def run_packed(source: Path, items: list[Ints], offset: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    feeds = {name: torch.from_numpy(array) for name, array in pack(items, position_offset=offset).items()}
    layout = Layout(feeds["pack_index"], feeds["unpack_index"], feeds["lengths"], torch_spelling)
    encoder = PackedTextEncoder(load(source, attention=PACKED), "mean")
    return encoder(feeds["input_ids"], feeds["position_ids"], layout), layout.weights


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@torch.no_grad()
def test_packed_equals_eager(architecture: str, tmp_path: Path) -> None:
    write, offset = {"bert": (write_bert, 0), "roberta": (write_roberta, 2)}[architecture]
    source = write(tmp_path)
    rng = np.random.default_rng(0)
    items = [rng.integers(2, len(WORDS), n) for n in (5, 1, 30, 5)]
    embeddings, weights = run_packed(source, items, offset)
    eager = load(source, attention="eager")
    for row, ids in enumerate(items):
        n = len(ids)
        out = eager(input_ids=torch.from_numpy(ids)[None], output_attentions=True)
        torch.testing.assert_close(embeddings[row], out.last_hidden_state[0].mean(0), atol=1e-5, rtol=0)
        for layer, expected in zip(weights, out.attentions, strict=True):
            torch.testing.assert_close(layer[row, :, :n, :n], expected[0], atol=1e-5, rtol=0)
            assert (layer[row, :, :n, n:] == 0).all()
