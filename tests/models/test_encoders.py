"""Tests of every native encoder by the registry: gradients, neighbors, positions, checkpoints."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.artifact.graph_inputs import pack
from models.attention import AttentionRecorder
from models.encoders import checkpoint, registry
from models.encoders.alternet import AlterNetConfig, alternet_34, alternet_50
from models.encoders.checkpoint import CheckpointError
from models.encoders.text import TextConfig, TextTransformer
from models.encoders.vit import VitConfig
from models.layers.errors import ConfigError
from models.packed import PackedLayout, eager_attention
from tests.encoders import (
    CONFIGS,
    IMAGE_NAMES,
    TEXT_NAMES,
    build,
    build_image_encoder,
    build_text_encoder,
    random_images,
    write_checkpoint,
)


def run_text(encoder: TextTransformer, items: list[list[int]]) -> tuple[torch.Tensor, PackedLayout]:
    packed = {n: torch.from_numpy(a) for n, a in pack([np.array(item) for item in items]).items()}
    layout = PackedLayout(packed["pack_index"], packed["unpack_index"], packed["lengths"], eager_attention)
    return encoder(packed["input_ids"], packed["position_ids"], layout), layout


def without_gradient(encoder: torch.nn.Module) -> list[str]:
    """Parameters that no gradient reached; queries', keys' and values' weights are looked at one by one."""
    missing = []
    for name, parameter in encoder.named_parameters():
        thirds = 3 if ".project." in name and name.endswith("weight") and parameter.shape[0] % 3 == 0 else 1
        parts = [] if parameter.grad is None else parameter.grad.chunk(thirds)
        if len(parts) != thirds or any(part.abs().sum() == 0 for part in parts):
            missing.append(name)
    return missing


def attending(names: list[str]) -> list[str]:
    return [name for name in names if CONFIGS[name]["kind"] not in ("conv", "dynamic-conv")]


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_gradients_reach_every_parameter_of_image_encoders(name: str) -> None:
    encoder = build_image_encoder(name).train()
    encoder(random_images(4)).square().sum().backward()
    assert without_gradient(encoder) == []


@pytest.mark.parametrize("name", TEXT_NAMES)
def test_gradients_reach_every_parameter_of_text_encoders(name: str) -> None:
    encoder = build_text_encoder(name).train()
    loss = run_text(encoder, [[1, 5, 6, 2], list(range(encoder.config.vocabulary_size))])[0].square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert without_gradient(encoder) == []


@pytest.mark.parametrize("name", IMAGE_NAMES)
@torch.no_grad()
def test_image_never_depends_on_its_neighbors(name: str) -> None:
    encoder = build_image_encoder(name)
    together = encoder(random_images(7))
    alone = torch.cat([encoder(picture[None]) for picture in random_images(7)])
    backwards = encoder(random_images(7).flip(0)).flip(0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, backwards, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", TEXT_NAMES)
@torch.no_grad()
def test_text_never_depends_on_its_neighbors(name: str) -> None:
    encoder = build_text_encoder(name)
    items = [[1, 4, 5, 2], [1, 2], [1, *range(4, 13), 2]]
    together, _ = run_text(encoder, items)
    alone = torch.cat([run_text(encoder, [item])[0] for item in items])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", attending(IMAGE_NAMES))
@torch.no_grad()
def test_recorded_and_blind_agree_and_weights_lie_on_the_grid(name: str) -> None:
    encoder, recorder = build_image_encoder(name), AttentionRecorder(record=True)
    watched = encoder(random_images(3), recorder)
    torch.testing.assert_close(watched, encoder(random_images(3)), atol=1e-5, rtol=1e-4)
    s = encoder.num_prefix_tokens + encoder.grid[0] * encoder.grid[1]
    for weights in encoder.on_grid(recorder.weights):
        assert weights.shape[2:] == (s, s)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_words_without_position_are_a_set() -> None:
    texts = [[1, 4, 5, 6, 2], [1, 6, 4, 5, 2]]
    for name, alike in (("text-set", True), ("text", False), ("text-relative", False)):
        one, other = run_text(build_text_encoder(name), texts)[0]
        assert torch.allclose(one, other, atol=1e-5) == alike


@torch.no_grad()
def test_patches_without_position_are_a_set() -> None:
    shuffled = random_images(1).reshape(1, 4, 16, 4, 16, 3).flip(1).reshape(1, 64, 64, 3)
    for position, alike in (("none", True), ("learned", False), ("sinusoidal", False)):
        encoder = registry.build(VitConfig(image_px=64, width=48, layers=2, position=position, embedding_width=8))
        assert torch.allclose(encoder(random_images(1)), encoder(shuffled), atol=1e-5) == alike


def test_unknown_kind_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="'resnet'; known: text, vit, alternet, nonlocal, dynamic-conv, conv"):
        registry.from_dict({"kind": "resnet"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "vit", "width": 100}, "heads do not divide the width: 3 and 100"),
        ({"kind": "vit", "patch_px": 24}, "24 and 128"),
        ({"kind": "alternet", "windows": (8, 8, 8, 8)}, "window does not divide the map: 8 and 4"),
        ({"kind": "alternet", "attention_blocks": (0, 2, 1, 1)}, "2 blocks is too short for 2"),
        ({"kind": "alternet", "image_px": 100}, "32 and 100"),
        ({"kind": "nonlocal", "heads": 3}, "3 and 128"),
        ({"kind": "conv", "cell_px": 6, "image_px": 96}, "power of 2 and at least 2, not 6"),
        ({"kind": "text", "heads": 7}, "7 and 768"),
        ({"kind": "vit", "color": 1}, "color: Extra inputs"),
        ({"kind": "vit", "layers": 0}, "layers: Input should be greater than 0"),
    ],
)
def test_config_that_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.build(registry.from_dict(fields))


def test_defaults_are_the_sources() -> None:
    text = TextConfig()
    assert (text.layers, text.width, text.heads) == (12, 768, 12)
    assert VitConfig().image_px // VitConfig().patch_px == 8
    with torch.device("meta"):
        built = [registry.build(config) for config in (AlterNetConfig(), alternet_34(), alternet_50())]
    millions = [sum(p.numel() for p in encoder.parameters()) / 1e6 for encoder in built]
    # ResNet-18, -34 and -50 without their classes have 11.2, 21.3 and 23.5 million.
    assert [round(count, 1) for count in millions] == [9.7, 22.5, 34.7]
    attending = [
        [i for i, block in enumerate(encoder.get_submodule("blocks").children()) if hasattr(block, "attention")]
        for encoder in built
    ]
    # Stages of 3, 4, 6 and 4 blocks with 0, 1, 3 and 2 attentions, each after a convolution, the last of its stage.
    assert attending == [[3, 5, 7], *[[6, 8, 10, 12, 14, 16]] * 2]
    assert [n for n in build_image_encoder("alternet").state_dict() if n.endswith("relative.table")] == [
        f"blocks.{block}.attention.relative.table" for block in (3, 5, 7)
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_checkpoint_comes_back(name: str, tmp_path: Path) -> None:
    encoder = build(name)
    again = checkpoint.load(write_checkpoint(name, tmp_path))
    assert again.config == encoder.config
    assert not again.training
    for key, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key


def test_broken_checkpoint_is_refused_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        checkpoint.load(tmp_path)
    write_checkpoint("vit", tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = load_file(weights)
    save_file({name: tensor for name, tensor in whole.items() if name != "cls"}, weights)
    with pytest.raises(CheckpointError, match=r"model.safetensors does not fit config.json"):
        checkpoint.load(tmp_path)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model.safetensors is invalid"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"kind": "vit", "heads": 5}))
    with pytest.raises(ConfigError, match="5 and 192"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="not a JSON object"):
        checkpoint.load(tmp_path)
