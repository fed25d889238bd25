"""Tracing of an encoder to a graph: the embedding, token embeddings and attention.

Weights are never copied into the graph in memory: they go from the encoder straight into the file next to it.
"""

import copy
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnx_ir
import torch
from torch import nn

from export import external_data
from export.conditional_outputs import make_outputs_conditional
from export.errors import GraphError
from export.onnx_attention import OPSET
from export.onnx_graph_utils import all_nodes
from export.targets.base import Axes, ExportTarget, as_tensors
from models.artifact import tensors
from models.artifact.arrays import InputArray
from models.artifact.artifact_files import WEIGHTS_FILE
from models.precision import convert


def export_to_onnx(target: ExportTarget, directory: Path, *, half: bool = False) -> onnx.ModelProto:
    """Trace, simplify, check and write the graph into `directory`; `half` for float16 inside.

    Raises GraphError if attention is not fused.
    """
    module = target.module().eval()
    model, arrays = _detach_weights(
        _trace_module(target, convert(copy.deepcopy(module), torch.float16) if half else module)
    )
    _drop_present_kv(model)
    _strip_metadata(model)
    _name_dynamic_axes(model, target.axes, by_token=target.task == "token-classify")
    make_outputs_conditional(model)
    found, expected = count_attention_operators(model), target.fused_attentions
    if found != expected:
        raise GraphError(f"{found} fused attention operators found, {expected} were expected")
    external_data.save_with_external_data(model, directory, arrays)
    return model


def count_attention_operators(model: onnx.ModelProto) -> int:
    """Count the standard Attention operators of the graph."""
    return sum(node.op_type == "Attention" and node.domain == "" for node in all_nodes(model.graph))


def _trace_module(target: ExportTarget, module: nn.Module) -> torch.onnx.ONNXProgram:
    heads = {tensors.HEAD_INDICES: np.resize(target.heads, 2)}  # of a length of 1 the tracer would make a constant
    dummy_inputs = as_tensors(target.graph_inputs(target.dummy_inputs()) | heads)
    axes = {name: dict.fromkeys(range(len(letters)), torch.export.Dim.DYNAMIC) for name, letters in target.axes.items()}
    export = cast("Callable[..., torch.onnx.ONNXProgram]", torch.onnx.export)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision's absence, once a call
        try:
            program = export(
                module,
                tuple(dummy_inputs[name] for name in target.axes),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=tuple(axes.values()),
                input_names=list(target.axes),
                output_names=list(target.outputs),
                verbose=False,
                optimize=False,
            )
        except torch.onnx.OnnxExporterError as error:
            cause = error.__cause__ or error
            raise GraphError(f"this {target.architecture} cannot be traced: {str(cause).splitlines()[0]}") from error
    return program


def _detach_weights(program: torch.onnx.ONNXProgram) -> tuple[onnx.ModelProto, dict[str, InputArray]]:
    """Return the optimized graph without its large initializers, and those by name: most are the encoder's own
    memory, and none of it stays with the tracer."""
    traced = list(program.model.graph.initializers.values())
    program.optimize()
    model, arrays = program.model, dict[str, InputArray]()
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or tensor.nbytes < external_data.INLINE_BYTES:
            continue
        arrays[name] = tensor.numpy()
        value.const_value = onnx_ir.ExternalTensor(
            WEIGHTS_FILE, None, None, tensor.dtype, shape=onnx_ir.Shape(tensor.shape.numpy()), name=name
        )
    proto = onnx_ir.to_proto(model)
    for value in traced:  # the library keeps what it has folded into another initializer
        value.const_value = None
    return proto, arrays


def _drop_present_kv(model: onnx.ModelProto) -> None:
    """Remove the operator's present key and value: an output that nobody reads costs the fused kernel."""
    for node in model.graph.node:
        if node.op_type == "Attention":
            del node.output[1:]


def _strip_metadata(model: onnx.ModelProto) -> None:
    """Remove the tracer's metadata: inferred shapes, and stack traces with local paths."""
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""


def _name_dynamic_axes(model: onnx.ModelProto, axes: Axes, *, by_token: bool) -> None:
    """Name the dynamic axes by the project's letters; fixed lengths stay."""
    letters: Axes = {**axes, tensors.OUTPUT: ("b", "s") if by_token else ("b",)}
    for value in [*model.graph.input, *model.graph.output]:
        for dim, letter in zip(value.type.tensor_type.shape.dim, letters.get(value.name, ()), strict=False):
            dim.dim_param = letter
