"""Tests of sentence-transformers' Dense stages: what they compute, and which are refused by file and entry."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.pretrained.dense import chained_dim, read_dense
from models.pretrained.errors import PretrainedError
from tests.dense import write_dense

ACTIVATIONS = {
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.linear.Identity": lambda x: x,
    "torch.nn.Identity": lambda x: x,
    "torch.nn.modules.activation.ReLU": torch.relu,
    "torch.nn.modules.activation.GELU": torch.nn.functional.gelu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_stage_computes_its_map_and_activation(name: str, bias: bool, tmp_path: Path) -> None:
    weights = write_dense(tmp_path, 4, 3, bias=bias, activation_function=name)
    stage, x = read_dense(tmp_path), torch.randn(2, 5, 4)
    mapped = x @ weights["linear.weight"].T + weights.get("linear.bias", torch.zeros(3))
    torch.testing.assert_close(stage(x), ACTIVATIONS[name](mapped))
    assert stage.is_linear == name.endswith("Identity")


@torch.no_grad()
def test_stage_of_older_releases_is_a_tanh(tmp_path: Path) -> None:
    weights = write_dense(tmp_path, 4, 3)
    x = torch.randn(2, 4)
    expected = torch.tanh(x @ weights["linear.weight"].T + weights["linear.bias"])
    torch.testing.assert_close(read_dense(tmp_path)(x), expected)


@pytest.mark.parametrize("outputs", [4, 3])
@torch.no_grad()
def test_residual_is_added(outputs: int, tmp_path: Path) -> None:
    identity = "torch.nn.modules.linear.Identity"
    weights = write_dense(tmp_path, 4, outputs, activation_function=identity, use_residual=True)
    x = torch.randn(2, 4)
    residual = x @ weights["residual.weight"].T if outputs == 3 else x
    expected = x @ weights["linear.weight"].T + weights["linear.bias"] + residual
    torch.testing.assert_close(read_dense(tmp_path)(x), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "os.system"}, r"config\.json has activation_function 'os\.system'; known, .*Tanh"),
        ({"activation_function": "torch.nn.modules.activation.Softmax"}, "activation_function"),
        ({"activation_function": "torch.hub.Tanh"}, "activation_function"),
        ({"module_input_name": "token_embeddings"}, r"config\.json maps token_embeddings"),
        ({"module_output_name": "other"}, r"only sentence_embedding"),
        ({"in_features": 0}, "in_features"),
        ({"out_features": "3"}, "out_features"),
        ({"dropout": 0.1}, r"config\.json .*dropout Extra"),
        ({"bias": False}, r"model\.safetensors holds .*linear\.bias.*config\.json says"),
        ({"in_features": 5}, r"\[3, 4\].* says .*\[3, 5\]"),
    ],
    ids=str,
)
def test_stage_that_cannot_be_exported_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_dense(tmp_path, 4, 3, overrides=changes)
    with pytest.raises(PretrainedError, match=message) as refused:
        read_dense(tmp_path)
    assert "\n" not in str(refused.value)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    write_dense(tmp_path, 4, 3)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(PretrainedError, match=r"no model\.safetensors, and pytorch_model\.bin is a pickle"):
        read_dense(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weights = write_dense(tmp_path, 4, 3)
    weights["linear.bias"][0] = float("nan")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(PretrainedError, match="not finite"):
        read_dense(tmp_path)


def test_stages_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_dense(tmp_path / "2", 4, 6)
    write_dense(tmp_path / "3", 6, 5)
    stages = [read_dense(tmp_path / name) for name in "23"]
    assert chained_dim(4, stages) == 5
    with pytest.raises(PretrainedError, match="Dense stage 2 takes in_features 4, its input has 5"):
        chained_dim(6, stages[::-1])
