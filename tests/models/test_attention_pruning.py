"""Tests of attention pruning: exact at threshold 0, rows sum to 1, and the fraction grows with the threshold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.artifact.graph_inputs import pack
from models.attention import attention_weights
from models.attention_pruning import PruningRecorder, ThresholdPruning, prune_small_weights, pruned_attention
from models.encoders.registry import build
from models.encoders.text import TextConfig
from models.encoders.vit import VitConfig
from models.packed import PackedLayout, eager_attention
from models.pretrained.text import PretrainedTextEncoder
from tests.checkpoints import WORDS, write_bert

THRESHOLDS = (0.0, 1e-3, 0.01, 0.05, 0.1, 0.3, 1.0)


def random_weights(seed: int, positions: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(2, 3, positions, 8, generator=generator) * 2 for _ in range(2))
    return attention_weights(q, k)


@given(st.integers(0, 2**32), st.floats(0, 1.5), st.integers(1, 20))
def test_rows_sum_to_one_and_keep_their_largest(seed: int, threshold: float, positions: int) -> None:
    weights = random_weights(seed, positions)
    kept = prune_small_weights(weights, threshold)
    torch.testing.assert_close(kept.sum(-1), torch.ones(kept.shape[:-1]))
    assert (kept.gather(-1, weights.argmax(-1, keepdim=True)) > 0).all()
    assert (kept[(weights >= threshold)] > 0).all()


def test_pruned_weights_keep_their_proportions() -> None:
    weights = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.25, 0.25, 0.25, 0.25]])
    expected = torch.tensor([[2 / 3, 1 / 3, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    torch.testing.assert_close(prune_small_weights(weights, 0.2), expected)
    assert prune_small_weights(weights, 0.9).tolist() == [[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]]


def test_masked_row_stays_zero() -> None:
    assert prune_small_weights(torch.zeros(1, 4), 0.1).tolist() == [[0.0, 0.0, 0.0, 0.0]]


@torch.no_grad()
def test_threshold_zero_is_exact_and_the_share_grows() -> None:
    torch.manual_seed(0)
    encoder = build(VitConfig(image_px=32, patch_px=8, width=32, heads=2, layers=2, embedding_width=8)).eval()
    for name, parameter in encoder.named_parameters():
        if "attention.project" in name:
            parameter.mul_(8)  # far from uniform, as trained attention is
    pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    seen = PruningRecorder(record=True, pruning=ThresholdPruning(0.0))
    torch.testing.assert_close(encoder(pixels, seen), encoder(pixels), atol=1e-5, rtol=0)
    assert (seen.pruning.pruned_fraction, seen.pruning.output_error) == (0.0, 0.0)
    assert len(seen.weights) == 2
    shares, errors = [], []
    for threshold in THRESHOLDS:
        recorder = PruningRecorder(pruning=ThresholdPruning(threshold))
        encoder(pixels, recorder)
        shares.append(recorder.pruning.pruned_fraction)
        errors.append(recorder.pruning.output_error)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1 - 1 / 17)  # one of 17 positions is left in each row
    assert 0 < errors[2] < errors[-1]


def packed(lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    feeds = pack([rng.integers(2, len(WORDS), n) for n in lengths])
    return {name: torch.from_numpy(array) for name, array in feeds.items()}


@torch.no_grad()
def test_packed_text_counts_no_padding(tmp_path: Path) -> None:
    feeds = packed((5, 1, 9))
    ours = build(TextConfig(vocabulary_size=len(WORDS), width=16, heads=2, layers=2, position="sinusoidal")).eval()
    theirs = PretrainedTextEncoder(write_bert(tmp_path / "bert"), "bert")
    for encoder in (ours, theirs):
        vectors = []
        prunings = [ThresholdPruning(0.0), ThresholdPruning(1.0)]
        for attention_function in (eager_attention, *map(pruned_attention, prunings)):
            layout = PackedLayout(feeds["pack_index"], feeds["unpack_index"], feeds["lengths"], attention_function)
            vectors.append(encoder(feeds["input_ids"], feeds["position_ids"], layout))
        torch.testing.assert_close(vectors[1], vectors[0], atol=1e-5, rtol=0)
        assert not torch.allclose(vectors[2], vectors[0], atol=1e-3)
        pairs, rows = 5 * 5 + 1 + 9 * 9, 5 + 1 + 9
        assert prunings[0].pruned_fraction == 0
        assert prunings[1].pruned_fraction == pytest.approx(1 - rows / pairs)
