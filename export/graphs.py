"""The two graphs of an artifact, traced from one encoder.

embed.onnx   every attention fused, one output
attend.onnx  the same encoder with its attention observable and reduced inside the graph
"""

import logging
import warnings
from collections.abc import Callable
from typing import cast

import onnx
import torch

from export.errors import GraphError
from export.spelling import OPSET
from export.subjects.base import Axes, Subject, as_tensors
from models.contract import tensors


def to_onnx(subject: Subject, *, watching: bool) -> onnx.ModelProto:
    """Trace, clean and check one graph. Raises GraphError if its attention is not one operator a layer."""
    model = _trace(subject, watching=watching)
    _drop_unused_caches(model)
    _forget_tracing(model)
    _name_axes(model, subject)
    found, wanted = attention_operators(model), 0 if subject.attention is None else subject.attention.layers
    if found != wanted:
        raise GraphError(f"{found} fused attention operators for {wanted} layers")
    return model


def attention_operators(model: onnx.ModelProto) -> int:
    """How many standard Attention operators the graph holds."""
    return sum(node.op_type == "Attention" and node.domain == "" for node in model.graph.node)


def _trace(subject: Subject, *, watching: bool) -> onnx.ModelProto:
    example = as_tensors(subject.feed(subject.example()))
    axes = {
        name: dict.fromkeys(range(len(letters)), torch.export.Dim.DYNAMIC) for name, letters in subject.axes.items()
    }
    export = cast("Callable[..., torch.onnx.ONNXProgram]", torch.onnx.export)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision's absence, once a call
        program = export(
            subject.module(watching=watching).eval(),
            tuple(example[name] for name in subject.axes),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=tuple(axes.values()),
            input_names=list(subject.axes),
            output_names=list(subject.outputs(watching=watching)),
            verbose=False,
        )
    return program.model_proto


def _drop_unused_caches(model: onnx.ModelProto) -> None:
    """Remove the operator's present key and value: an output that nobody reads costs the fused kernel."""
    for node in model.graph.node:
        if node.op_type == "Attention":
            if len(node.output) > 3:
                node.output[1] = node.output[2] = ""
            else:
                del node.output[1:]


def _forget_tracing(model: onnx.ModelProto) -> None:
    """Remove the tracer's notes: its guesses at shapes, and stack traces with the paths of this machine."""
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""


def _name_axes(model: onnx.ModelProto, subject: Subject) -> None:
    """Declare dynamic axes by the house's letters; what has a fixed length keeps it."""
    told = ("b", "s", "s") if subject.modality == "text" else ("b",)
    letters: Axes = {**subject.axes, tensors.EMBEDDING: ("b",)}
    for reduction in tensors.REDUCTIONS:
        letters |= {tensors.matrix(reduction): told, tensors.pooled(reduction): told[:2]}
    for value in [*model.graph.input, *model.graph.output]:
        names = letters.get(value.name, ("b", "", *told[1:]))
        for dim, letter in zip(value.type.tensor_type.shape.dim, names, strict=False):
            if letter:
                dim.dim_param = letter
