"""Tests of int8 layers: which are quantized, and how far embeddings move."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.errors import GraphError, ParityError
from export.options import ExportOptions
from export.quantization import quality
from export.quantization.gptq import MAX_WEIGHT, gptq_quantize, hessian_inverse_cholesky
from export.quantization.int8 import quantize
from export.targets.base import ExportTarget, GraphInputs, Item
from export.targets.loader import load_target
from export.torch_export import count_attention_operators
from models.artifact import tensors
from models.artifact.arrays import Floats
from models.artifact.graph_inputs import output_selection_inputs
from models.synthetic_corpus import MAX_WORDS, MIN_WORDS, generate_texts
from tests.checkpoints import WORDS, write_bert, write_roberta
from tests.encoders import write_checkpoint
from tests.export_cache import ExportCache


def _opened(source: Path, name: str, exports: ExportCache) -> tuple[ExportTarget, onnx.ModelProto]:
    """The encoder and its graph, as it was traced."""
    return load_target(source, ExportOptions()), onnx.load(exports(source, name) / "model.onnx")


def _items(seed: int, count: int = 24) -> list[Item]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, len(WORDS), n) for n in rng.integers(1, 30, count)]


def _feeds(subject: ExportTarget, items: Sequence[Item], *wanted: str) -> GraphInputs:
    return {**subject.graph_inputs(items), **output_selection_inputs(subject.outputs, wanted, subject.heads)}


def _embed(model: onnx.ModelProto, subject: ExportTarget) -> Callable[[Sequence[Item]], Floats]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda items: np.asarray(session.run([tensors.OUTPUT], _feeds(subject, items))[0])


def _count(model: onnx.ModelProto, operator: str) -> int:
    return sum(node.op_type == operator for node in model.graph.node)


@pytest.mark.parametrize(("writer", "name", "layers"), [(write_bert, "tiny", 2), (write_roberta, "roberta", 3)])
def test_every_linear_layer_multiplies_bytes(
    writer: Callable[[Path], Path], name: str, layers: int, exports: ExportCache, tmp_path: Path
) -> None:
    subject, full = _opened(writer(tmp_path), name, exports)
    before = full.SerializeToString()
    reduced = quantize(full, [_feeds(subject, _items(0))])
    assert full.SerializeToString() == before
    onnx.checker.check_model(reduced)
    assert _count(reduced, "MatMulIntegerToFloat") == _count(full, "MatMul") == 6 * layers
    assert _count(reduced, "MatMul") == 0
    assert _count(reduced, "QuantizeLinear") == 4 * layers, "q, k and v share one"
    assert count_attention_operators(reduced) == layers
    whole = [numpy_helper.to_array(t) for t in reduced.graph.initializer if t.data_type == TensorProto.INT8]
    assert max(int(np.abs(matrix.astype(int)).max()) for matrix in whole) == MAX_WEIGHT
    found = quality.measure(_embed(full, subject), _embed(reduced, subject), _items(1))
    assert found.mean_cosine
    assert found.mean_cosine > 0.999
    assert found.batch_invariance_max_abs < 1e-6


def test_observed_attention_is_quantized_too(tiny_source: Path, exports: ExportCache) -> None:
    subject, full = _opened(tiny_source, "tiny", exports)
    feeds = _feeds(subject, _items(0), tensors.pooled_reduction("rollout"))
    wanted, found = (
        onnxruntime.InferenceSession(model.SerializeToString()).run([tensors.pooled_reduction("rollout")], feeds)[0]
        for model in (full, quantize(full, [feeds]))
    )
    np.testing.assert_allclose(found, wanted, atol=0.02)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_images(exports: ExportCache, tmp_path: Path) -> None:
    subject, full = _opened(write_checkpoint("vit", tmp_path), "vit", exports)
    batches = list(subject.validation_batches(np.random.default_rng(0)))
    reduced = quantize(full, [_feeds(subject, batch) for batch in batches])
    assert _count(reduced, "MatMulIntegerToFloat") > 8
    items = [item for batch in subject.validation_batches(np.random.default_rng(1)) for item in batch][:2]
    wanted, found = (_embed(model, subject)(items) for model in (full, reduced))
    cosines = (wanted * found).sum(axis=1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.99


def _gemm(opset: int = 21, *, finite: bool = True) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(5, 7)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    node = helper.make_node("Gemm", ["x", "w", "b"], [tensors.OUTPUT], transB=1)
    constants = [
        numpy_helper.from_array(weights if finite else weights * np.nan, "w"),
        numpy_helper.from_array(bias, "b"),
    ]
    first = helper.make_node("Identity" if finite else "Log", ["pixels"], ["x"])
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", width])
              for name, width in (("pixels", 7), (tensors.OUTPUT, 5))]  # fmt: skip
    graph = helper.make_graph([first, node], "gemm", shapes[:1], shapes[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def test_gemm_keeps_its_bias_and_its_rows_their_own_scales() -> None:
    model = _gemm()
    x = np.random.default_rng(1).normal(size=(64, 7)).astype(np.float32)
    x[0] *= 1000
    x[1] = 0
    wanted, found = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"pixels": x})[0]
        for m in (model, quantize(model, [{"pixels": x[2:]}]))
    )
    scale = np.maximum(np.abs(wanted).max(axis=1, keepdims=True), 1)
    assert np.abs((wanted - found) / scale).max() < 0.06, "7 products, each off by up to 1/128 of the largest weight"


def test_quantization_refuses_unsuitable_graphs() -> None:
    x = -np.ones((4, 7), np.float32)
    with pytest.raises(ValueError, match="at least one batch"):
        quantize(_gemm(), [])
    with pytest.raises(GraphError, match="not finite"):
        quantize(_gemm(finite=False), [{"pixels": x}])
    with pytest.raises(GraphError, match="empty"):
        quantize(_gemm(), [{"pixels": x[:0]}])
    with pytest.raises(GraphError, match="opset 20"):
        quantize(_gemm(20), [{"pixels": x}])
    bare = _gemm()
    del bare.graph.node[1:]
    with pytest.raises(GraphError, match="no linear layer"):
        quantize(bare, [{"pixels": x}])


def test_rounding_errs_less_on_what_it_saw_than_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(64, 32)).astype(np.float32)
    x = (rng.normal(size=(500, 8)) @ rng.normal(size=(8, 64)) + 0.1 * rng.normal(size=(500, 64))).astype(np.float32)
    whole, scales = gptq_quantize(weights, hessian_inverse_cholesky(x))
    nearest = np.rint(weights / scales) * scales
    assert np.abs(whole.astype(int)).max() <= MAX_WEIGHT
    assert np.square(x @ (whole * scales - weights)).mean() < 0.5 * np.square(x @ (nearest - weights)).mean()
    assert not gptq_quantize(np.zeros((4, 3), np.float32), hessian_inverse_cholesky(np.zeros((5, 4), np.float32)))[
        0
    ].any()


def test_quality_of_the_same_of_noise_and_of_an_embedding_that_hears_its_neighbors() -> None:
    items = [np.array([i]) for i in range(40)]
    vectors = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=(40, 16)).astype(np.float32)

    def same(batch: Sequence[Item]) -> Floats:
        return vectors[[int(item[0]) for item in batch]]

    found = quality.measure(same, same, items)
    assert (found.num_inputs, found.knn_overlap_at_10, found.batch_invariance_max_abs) == (40, 1, 0)
    assert found.min_cosine == pytest.approx(1)
    quality.check_quality(found, "int8")
    with pytest.raises(ParityError, match=r"mean cosine .* of the nearest 10 kept"):
        quality.check_quality(
            quality.measure(same, lambda batch: noise[[int(item[0]) for item in batch]], items), "int8"
        )
    with pytest.raises(ParityError, match="by other inputs of the batch"):
        quality.check_quality(
            quality.measure(same, lambda batch: same(batch) + np.float32(1e-3 * len(batch)), items), "int8"
        )
    with pytest.raises(ValueError, match="10 items"):
        quality.measure(same, same, items[:10])


def test_prose_is_the_same_for_a_seed_and_no_text_serves_both_uses() -> None:
    fitted, judged = generate_texts(200, "calibration"), generate_texts(200, "gate")
    assert fitted == generate_texts(200, "calibration")
    assert fitted != generate_texts(200, "calibration", seed=1)
    assert not set(fitted) & set(judged)
    lengths = [len(text.split()) for text in judged]
    assert MIN_WORDS <= min(lengths) <= max(lengths) <= MAX_WORDS
    assert 30 < np.mean(lengths) < 60
