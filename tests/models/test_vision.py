"""Tests of pretrained image encoders: their embeddings and attention weights match the originals."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from einops import reduce
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.artifact.specs import Pooling
from models.attention import AttentionRecorder
from models.pretrained.errors import PretrainedError
from models.pretrained.loading import read_config
from models.pretrained.reference import reference_model
from models.pretrained.vision import VisionSource, load_vision, resolve
from models.pretrained.vision_encoder import PretrainedVisionEncoder
from models.relevance import reduce_attention
from tests.hf_vision import IMAGE_MEAN, IMAGE_STD, SAMPLES, Sample, normalize, random_images, write_checkpoint

WINDOWED = [name for name in SAMPLES if name.startswith("swin")]


@dataclass(frozen=True)
class Case:
    """A sample on disk, its model in memory in float64, the encoder opened, and what it answered to three images."""

    sample: Sample
    directory: Path
    model: Any
    opened: VisionSource
    encoder: PretrainedVisionEncoder
    pixels: Tensor
    vector: Tensor
    weights: list[Tensor]
    shares: Tensor

    @property
    def tower(self) -> Any:
        return self.sample.tower(self.model)

    def rows(self) -> Tensor:
        rows: Tensor = self.tower(pixel_values=normalize(self.pixels)).last_hidden_state
        return rows


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    root = tmp_path_factory.mktemp("vision")

    @cache
    def make(name: str) -> Case:
        model = write_checkpoint(name, root / name, like_trained=False).double()
        source = recognise_sample(root / name)
        encoder = load_vision(source)
        return Case(SAMPLES[name], root / name, model, source, encoder, *watch(encoder))

    return make


Cases = Callable[[str], Case]


def open_sample(directory: Path, pooling: Pooling | None = None) -> PretrainedVisionEncoder:
    return load_vision(recognise_sample(directory, pooling))


def recognise_sample(
    directory: Path, pooling: Pooling | None = None, size_px: tuple[int, int] | None = None
) -> VisionSource:
    config = read_config(directory)
    return resolve(directory, config, image_mean=IMAGE_MEAN, image_std=IMAGE_STD, pooling=pooling, size_px=size_px)


def watch(encoder: PretrainedVisionEncoder) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """pixels, vector, weights, shares"""
    pixels = random_images(3, encoder.height_px, encoder.width_px)
    recorder = AttentionRecorder(record=True)
    vector = encoder(pixels, recorder)
    return pixels, vector, encoder.on_grid(recorder.weights), encoder.pooling_weights(recorder)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", SAMPLES)
def test_vector_is_the_original_one(case: Cases, name: str) -> None:
    its = case(name)
    want = its.sample.vector(its.model, its.tower(pixel_values=normalize(its.pixels)))
    assert its.vector.shape == (3, its.encoder.embedding_dim) == (3, its.sample.width)
    assert its.vector.std(dim=0).min() > 1e-3, "one vector for all pictures"
    torch.testing.assert_close(its.vector.double(), want, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(its.encoder(its.pixels).double(), want, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_positions_match_grid_and_prefix(case: Cases, name: str) -> None:
    its = case(name)
    encoder, sample = its.encoder, its.sample
    positions = sample.prefix + sample.grid[0] * sample.grid[1]
    assert (encoder.grid, encoder.num_prefix_tokens, encoder.pooling) == (sample.grid, sample.prefix, sample.pooling)
    assert all(layer.shape[-2:] == (positions, positions) for layer in its.weights)
    torch.testing.assert_close(its.shares.sum(dim=-1), torch.ones(len(its.shares)))
    for layer in its.weights:
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(layer.shape[:-1]), atol=1e-5, rtol=0)
        assert layer.max() > 4 / positions, "attention that is uniform hides what is wrong"
    rollout = reduce_attention(its.weights, its.shares, encoder.num_prefix_tokens)["rollout"]
    matrix, row = rollout.matrix, rollout.pooled
    assert matrix.shape[1:] == (positions - sample.prefix,) * 2
    torch.testing.assert_close(row.sum(dim=-1), torch.ones(3))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in WINDOWED])
def test_weights_are_those_of_every_layer(case: Cases, name: str) -> None:
    its = case(name)
    want = its.tower(pixel_values=normalize(its.pixels), output_attentions=True).attentions
    assert len(its.weights) == len(want) == 2
    for found, eager in zip(its.weights, want, strict=True):
        torch.testing.assert_close(found.double(), eager, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", WINDOWED)
def test_window_attention_is_reported_on_last_grid(case: Cases, name: str) -> None:
    its = case(name)
    seen: list[Tensor] = []
    hooks = [
        block.attention.register_forward_hook(lambda _module, _inputs, out: seen.append(out[1]))
        for stage in its.tower.encoder.layers
        for block in stage.blocks
    ]
    its.rows()
    for hook in hooks:
        hook.remove()
    stages = [stage for stage, depth in enumerate(its.sample.config["depths"]) for _ in range(depth)]
    first = (its.encoder.height_px // 4, its.encoder.width_px // 4)
    for layer, (found, windows, stage) in enumerate(zip(its.weights, seen, stages, strict=True)):
        grid = (first[0] >> stage, first[1] >> stage)
        whole = over_the_map(windows, grid, 4, shift=2 if layer % 2 and min(grid) > 4 else 0)
        torch.testing.assert_close(found.double(), coarse(whole, grid, its.encoder.grid), atol=1e-5, rtol=0)


def over_the_map(windows: Tensor, grid: tuple[int, int], side: int, shift: int) -> Tensor:
    """The whole matrix over a map, window by window: `[b, h, s, s]`."""
    (y, x), count = grid, windows.shape[0] * side * side // (grid[0] * grid[1])
    whole = windows.new_zeros(count, windows.shape[1], y * x, y * x)
    windows = windows.reshape(count, -1, *windows.shape[1:])
    corners = [(top, left) for top in range(0, y, side) for left in range(0, x, side)]
    for n, (top, left) in enumerate(corners):
        cells = [
            (top + row + shift) % y * x + (left + column + shift) % x for row in range(side) for column in range(side)
        ]
        for p, cell in enumerate(cells):
            whole[:, :, cell, cells] = windows[:, n, :, p]
    return whole


def coarse(whole: Tensor, grid: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    p, q = grid[0] // cells[0], grid[1] // cells[1]
    keys = reduce(whole, "b h s (v p u q) -> b h s (v u)", "sum", v=cells[0], u=cells[1], p=p, q=q)
    return reduce(keys, "b h (y p x q) s -> b h (y x) s", "mean", y=cells[0], x=cells[1], p=p, q=q)


@pytest.mark.parametrize("name", ["siglip", "siglip-vision"])
def test_shares_are_what_the_probe_saw(case: Cases, name: str) -> None:
    its = case(name)
    rows, head = its.rows(), its.tower.head
    want = head.attention(head.probe.expand(3, -1, -1), rows, rows)[1][:, 0]
    assert want.max() > 2 / want.shape[1]
    torch.testing.assert_close(its.shares.double(), want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SAMPLES)
def test_parity_is_closer_in_float64(case: Cases, name: str) -> None:
    """As closely as eager's softmax, which is always in float32, leaves."""
    its = case(name)
    _, vector, weights, shares = watch(copy.deepcopy(its.encoder).double())
    found = reference_model(its.opened)(its.pixels)
    torch.testing.assert_close(found.output, vector, atol=1e-6, rtol=1e-6)
    for ours, theirs in zip(weights, found.weights, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)
    assert (found.pooling_weights is not None) == (its.sample.pooling == "attention")
    if found.pooling_weights is not None:
        torch.testing.assert_close(found.pooling_weights, shares, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["vit", "deit", "dinov3", "beit-cls", "siglip"])
def test_mean_over_patches_if_asked(case: Cases, name: str) -> None:
    its = case(name)
    _, vector, _, shares = watch(open_sample(its.directory, "mean"))
    want = its.rows()[:, its.sample.prefix :].mean(dim=1)
    torch.testing.assert_close(vector.double(), want, atol=2e-5, rtol=1e-5)
    assert shares.shape[0] == 1
    assert shares[0, : its.sample.prefix].sum() == 0


@pytest.mark.parametrize("name", ["clip-plain", "siglip-vision"])
def test_towers_as_older_releases_saved_them(case: Cases, tmp_path: Path, name: str) -> None:
    """All names below `vision_model`, and position ids among the weights."""
    its = case(name)
    directory = shutil.copytree(its.directory, tmp_path / name)
    state = {f"vision_model.{path}": tensor for path, tensor in load_file(directory / "model.safetensors").items()}
    ids = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    save_file(state | ids, directory / "model.safetensors", metadata={"format": "pt"})
    torch.testing.assert_close(open_sample(directory)(its.pixels), its.vector, atol=2e-5, rtol=1e-5)


def test_two_encoders_keep_their_own_layers(case: Cases) -> None:
    assert [len(watch(case(name).encoder)[2]) for name in ("vit", "swin", "vit")] == [2, 6, 2]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "vit",
            {"model_type": "vit_mae"},
            "model_type 'vit_mae' is not a supported image encoder; supported: vit, deit",
        ),
        ("vit", {"model_type": "nobody"}, "config.json cannot be read"),
        ("vit", {"auto_map": {"AutoModel": "own.Model"}}, "asks for code that is never run"),
        ("vit", {"num_channels": 1}, "vit of 1 channels: images must have 3"),
        ("vit", {"patch_size": 64}, "do not divide images of 32 x 32 px"),
        ("vit", {"num_hidden_layers": 3}, "num_hidden_layers: 3, and the weights are of 2 layers"),
        ("vit", {"hidden_size": 64}, "its config says ["),
        ("dinov2", {"image_size": [32, 64]}, "dinov2 of 32 x 64 px: transformers takes square ones only"),
        ("swin", {"window_size": 3}, "windows of 3 and 3 stages do not divide 16 x 16 patches"),
        ("swin", {"image_size": 66}, "do not divide images of 66 x 66 px"),
        ("clip-plain", {"architectures": ["CLIPModel"]}, "lack visual_projection.weight"),
    ],
)
def test_cohere_request_refuses_unsupported_fields(
    case: Cases, tmp_path: Path, name: str, changes: dict[str, Any], message: str
) -> None:
    directory = shutil.copytree(case(name).directory, tmp_path / name)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(PretrainedError) as caught:
        open_sample(directory)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, 2_000])
def test_weights_cut_short(case: Cases, tmp_path: Path, keep: int) -> None:
    directory = shutil.copytree(case("vit").directory, tmp_path / "cut")
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(PretrainedError, match=r"model\.safetensors \([\d,]+ bytes\) is cut off"):
        open_sample(directory)


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError):
        open_sample(tmp_path / "nowhere")


@pytest.mark.parametrize(("name", "pooling"), [("clip", "mean"), ("beit", "cls"), ("swin", "cls"), ("vit", "last")])
def test_pooling_that_was_never_trained(case: Cases, name: str, pooling: Pooling) -> None:
    with pytest.raises(PretrainedError, match=f"can be pooled by .*, not by {pooling}"):
        open_sample(case(name).directory, pooling)


def test_images_of_another_size(case: Cases) -> None:
    with pytest.raises(ValueError, match="takes images of shape"):
        case("dinov3").encoder(random_images(1, 64, 64))


@pytest.mark.parametrize("name", ["dinov2", "dinov2-registers", "dinov3"])
@torch.no_grad()
def test_encoder_of_any_size_gets_the_processors_size(name: str, tmp_path: Path) -> None:
    model = write_checkpoint(name, tmp_path, like_trained=False)
    encoder = load_vision(recognise_sample(tmp_path, size_px=(48, 48)))
    assert (encoder.height_px, encoder.width_px, encoder.grid) == (48, 48, (6, 6))
    recorder, pixels = AttentionRecorder(record=True), random_images(3, 48, 48)
    vector = encoder(pixels, recorder)
    out = model(pixel_values=normalize(pixels), output_attentions=True)
    torch.testing.assert_close(vector, out.last_hidden_state[:, 0], atol=1e-4, rtol=1e-4)
    for found, wanted in zip(recorder.weights, out.attentions, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_encoder_of_one_size_refuses_another(tmp_path: Path) -> None:
    write_checkpoint("vit", tmp_path)
    with pytest.raises(
        PretrainedError, match=r"takes images of \(32, 32\) px, but its image processor produces \(48, 48\)"
    ):
        recognise_sample(tmp_path, size_px=(48, 48))


def test_image_tower_of_a_naflex_is_refused_with_the_way_out(tmp_path: Path) -> None:
    transformers.Siglip2Config().save_pretrained(tmp_path)
    config = read_config(tmp_path)
    with pytest.raises(PretrainedError, match=r"siglip2 in .* own aspect ratio \(NaFlex\).*model_type is siglip"):
        resolve(tmp_path, config, image_mean=IMAGE_MEAN, image_std=IMAGE_STD)
