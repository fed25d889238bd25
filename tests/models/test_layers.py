"""Tests of layers: projections, scores, positions, windows and grids match their sources."""

import pytest
import torch
from einops import rearrange

from models.attention import AttentionRecorder
from models.layers.dynamic_convolution import DynamicConvolution
from models.layers.errors import ConfigError
from models.layers.grid_resampling import upsample_attention
from models.layers.map_attention import MapAttention, MapAttentionPlan
from models.layers.position_embedding import RelativeBias, sinusoidal, sinusoidal_grid
from models.layers.projection import MapProjection, Projection, SequenceProjection
from models.layers.self_attention import AttentionScore, CrossAttention, SelfAttention

PROJECTIONS: list[Projection] = ["separate", "shared", "none"]


def watched(layer: torch.nn.Module, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    recorder = AttentionRecorder(record=True)
    with torch.no_grad():
        out = layer(*inputs, recorder)
    return out, recorder.weights[0]


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_projection_kinds_hold_what_their_names_say(kind: Projection) -> None:
    x = torch.randn(2, 5, 8)
    project = SequenceProjection(8, kind)
    q, k, v = project(x)
    assert torch.equal(q, k) == torch.equal(k, v) == (kind != "separate")
    assert torch.equal(q, x) == (kind == "none")
    assert sum(p.numel() for p in project.parameters()) == {"separate": 3, "shared": 1, "none": 0}[kind] * (64 + 8)


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_1x1_convolution_is_the_linear_map_at_each_patch(kind: Projection) -> None:
    x = torch.randn(2, 8, 3, 4)
    on_map, on_sequence = MapProjection(8, kind), SequenceProjection(8, kind)
    if on_map.convolution is not None and on_sequence.linear is not None:
        on_sequence.linear.load_state_dict(
            {n: p.reshape(p.shape[: 2 if n == "weight" else 1]) for n, p in on_map.convolution.state_dict().items()}
        )
    for a, b in zip(on_map(x), on_sequence(rearrange(x, "b c y x -> b (y x) c")), strict=True):
        torch.testing.assert_close(rearrange(a, "b c y x -> b (y x) c"), b)


def test_shared_projection_makes_scores_symmetric() -> None:
    q, k, _ = SequenceProjection(8, "shared")(torch.randn(1, 5, 8))
    scores = q @ k.transpose(1, 2)
    torch.testing.assert_close(scores, scores.transpose(1, 2))


def test_cosine_score_ignores_lengths_and_takes_its_temperature() -> None:
    scoring = AttentionScore(2, "cosine")
    q, k = torch.randn(1, 2, 3, 8), torch.randn(1, 2, 4, 8)
    one, other = scoring(q, k), scoring(5 * q, 0.1 * k)
    torch.testing.assert_close(one, other)
    scores = one[0] @ one[1].transpose(-1, -2) / 8**0.5
    cosine = torch.cosine_similarity(q[:, :, :, None], k[:, :, None], dim=-1)
    torch.testing.assert_close(scores, 10 * cosine)


def test_cross_attention_mixes_the_other_sequence() -> None:
    layer = CrossAttention(8, 2)
    out, weights = watched(layer, torch.randn(2, 3, 8), torch.randn(2, 5, 8))
    assert (out.shape, weights.shape) == ((2, 3, 8), (2, 2, 3, 5))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 3))


def test_layer_is_the_same_blind_and_recorded() -> None:
    layer, x = SelfAttention(8, 2), torch.randn(2, 5, 8)
    torch.testing.assert_close(layer(x, AttentionRecorder()), watched(layer, x)[0])


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_map_attention_is_sequence_attention_row_by_row(projection: Projection) -> None:
    x = torch.randn(2, 8, 3, 5)
    over_map = MapAttention(MapAttentionPlan(8, (3, 5), heads=2, projection=projection))
    over_sequence = SelfAttention(8, 2, projection=projection)
    pairs = [(over_sequence.out, over_map.out), (over_sequence.project.linear, over_map.project.convolution)]
    for linear, convolution in pairs:
        if linear is not None and convolution is not None:
            state = convolution.state_dict()
            linear.load_state_dict({"weight": state["weight"][:, :, 0, 0], "bias": state["bias"]})
    out, weights = watched(over_map, x)
    expected, expected_weights = watched(over_sequence, rearrange(x, "b c y x -> b (y x) c"))
    torch.testing.assert_close(rearrange(out, "b c y x -> b (y x) c"), expected)
    torch.testing.assert_close(weights, expected_weights)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_1x1_map_attends_to_itself(projection: Projection) -> None:
    _, weights = watched(MapAttention(MapAttentionPlan(8, (1, 1), projection=projection)), torch.randn(3, 8, 1, 1))
    assert (weights == 1).all()


def test_windows_see_themselves_alone_and_each_its_own_patches() -> None:
    layer = MapAttention(MapAttentionPlan(8, (4, 6), heads=2, window=2, relative=True))
    assert layer.relative is not None
    torch.nn.init.normal_(layer.relative.table)
    x = torch.randn(2, 8, 4, 6)
    out, weights = watched(layer, x)
    window = torch.arange(24).reshape(4, 6)
    of_cell = (window // 6 // 2) * 3 + window % 6 // 2
    same = of_cell.reshape(-1)[:, None] == of_cell.reshape(-1)
    assert (weights[..., ~same] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 24))
    moved = x.clone()
    moved[:, :, :2, :2] = 0
    changed = (watched(layer, moved)[0] != out).any(dim=1)[0]
    assert changed[:2, :2].all()
    assert not changed[2:].any()
    assert not changed[:, 2:].any()
    alone, _ = watched(layer, torch.randn(2, 8, 4, 6).index_copy(2, torch.arange(2), x[:, :, :2]))
    torch.testing.assert_close(alone[:, :, :2], out[:, :, :2])


def test_relative_bias_depends_on_distance_alone() -> None:
    bias = RelativeBias(2, 3, 4)
    torch.nn.init.normal_(bias.table)
    scores = bias().reshape(2, 3, 4, 3, 4)
    torch.testing.assert_close(scores[:, 0, 0, 1, 2], scores[:, 1, 1, 2, 3])
    assert not torch.equal(scores[:, 0, 0, 1, 2], scores[:, 1, 2, 0, 0])
    line = RelativeBias(1, 1, 6)
    torch.nn.init.normal_(line.table)
    torch.testing.assert_close(line.truncate(4), line()[:, :4, :4])


def test_sinusoidal_codes() -> None:
    code = sinusoidal(torch.arange(50), 16)
    torch.testing.assert_close(code[:, 0], torch.arange(50).float().sin())
    torch.testing.assert_close((code[3] @ code[7]), (code[23] @ code[27]))  # products by distance alone
    grid = sinusoidal_grid(3, 4, 16).reshape(3, 4, 16)
    torch.testing.assert_close(grid[0, :, :8], grid[0, :1, :8].expand(4, 8))
    torch.testing.assert_close(grid[:, 0, 8:], grid[:1, 0, 8:].expand(3, 8))


def test_refined_matrices_keep_their_rows() -> None:
    coarse = torch.randn(2, 3, 4, 4).softmax(-1)
    fine = upsample_attention(coarse, (2, 2), (4, 6))
    torch.testing.assert_close(fine.sum(-1), torch.ones(2, 3, 24))
    cells = fine.reshape(2, 3, 2, 2, 2, 3, 2, 2, 2, 3).sum((7, 9))[:, :, :, 0, :, 0]
    torch.testing.assert_close(cells.reshape(2, 3, 4, 4), coarse)


def test_dynamic_convolution_is_a_convolution_where_its_kernel_is_constant() -> None:
    layer, x = DynamicConvolution(8, groups=2, kernel=3), torch.randn(2, 8, 5, 6)
    last = layer.make[2]
    assert isinstance(last, torch.nn.Conv2d)
    torch.nn.init.zeros_(last.weight)
    assert last.bias is not None
    kernel = last.bias.detach().reshape(2, 1, 3, 3).repeat_interleave(4, dim=0)
    expected = torch.nn.functional.conv2d(x, kernel, padding=1, groups=8)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("build", "numbers"),
    [
        (lambda: SelfAttention(10, 3), "3 and 10"),
        (lambda: CrossAttention(10, 4), "4 and 10"),
        (lambda: MapAttention(MapAttentionPlan(8, (6, 6), window=4)), "4 and 6"),
        (lambda: MapAttention(MapAttentionPlan(8, (6, 6), heads=3)), "3 and 8"),
        (lambda: DynamicConvolution(8, groups=3, kernel=3), "3 and 8"),
        (lambda: DynamicConvolution(8, groups=2, kernel=4), "odd, got 4"),
        (lambda: upsample_attention(torch.ones(1, 1, 4, 4), (2, 2), (3, 4)), "2 and 3"),
    ],
)
def test_indivisible_sizes_are_refused_with_both_numbers(build: object, numbers: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError, match=numbers):
        build()
