"""Tests of conditional outputs: unrequested ones are not computed, and the embedding always is."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.conditional_outputs import make_outputs_conditional
from models.artifact import tensors
from models.artifact.graph_inputs import output_selection_inputs

BEFORE = tensors.TOKEN_EMBEDDINGS
OUTPUTS = (tensors.OUTPUT, BEFORE, "doubled", "summed")


def graph() -> onnx.ModelProto:
    """positions = x + 1; embedding = -positions; doubled = 2 * embedding; summed = the sums of doubled's rows."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Add", ["x", "one"], [BEFORE]),
        helper.make_node("Neg", [BEFORE], [tensors.OUTPUT]),
        helper.make_node("Mul", [tensors.OUTPUT, "two"], ["doubled"]),
        helper.make_node("ReduceSum", ["doubled", "axis"], ["summed"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array(number), name)
        for name, number in (("one", np.float32(1)), ("two", np.float32(2)), ("axis", [1]), ("unused", np.float32(9)))
    ]
    inputs = [value("x", TensorProto.FLOAT, ["b", 3]), value(tensors.HEAD_INDICES, TensorProto.INT64, ["k"])]
    shapes: list[list[str | int]] = [["b", 3], ["b", 3], ["b", 3], ["b"]]
    outputs = [value(name, TensorProto.FLOAT, shape) for name, shape in zip(OUTPUTS, shapes, strict=True)]
    body = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)


@pytest.mark.parametrize("wanted", [(), ("doubled",), ("summed",), ("doubled", "summed"), (BEFORE,), OUTPUTS[1:]])
def test_conditional_outputs_are_empty_unless_requested(wanted: tuple[str, ...]) -> None:
    model = graph()
    make_outputs_conditional(model)
    onnx.checker.check_model(model)
    assert {tensor.name for tensor in model.graph.initializer} == {"one", "two", "axis"}
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict(
        zip(OUTPUTS, session.run(OUTPUTS, {"x": x, **output_selection_inputs(OUTPUTS, wanted, [])}), strict=True)
    )
    np.testing.assert_array_equal(found[tensors.OUTPUT], -x - 1)
    doubled = 2 * (-x - 1)
    for name, answer in ((BEFORE, x + 1), ("doubled", doubled), ("summed", doubled.sum(axis=1))):
        np.testing.assert_array_equal(found[name], answer if name in wanted else np.zeros([0] * answer.ndim))
