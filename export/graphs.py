"""The two graphs of an artifact, traced from one encoder.

embed.onnx   every attention fused, one output
attend.onnx  the same encoder with its attention observable and reduced inside the graph
"""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.errors import GraphError
from export.source import Source
from export.spelling import OPSET, fused, observable
from models.contract import tensors
from models.contract.packing import INPUTS, pack
from models.packed import Layout, Spelling
from models.pooling import pool
from models.pretrained import PackedTextEncoder
from models.relevance import relevance


class Graph(nn.Module, ABC):
    """An encoder, the spelling of its attention, and what is returned of both."""

    outputs: tuple[str, ...]
    spelling: Spelling

    def __init__(self, encoder: PackedTextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, input_ids: Tensor, position_ids: Tensor, pack_index: Tensor, unpack_index: Tensor, lengths: Tensor
    ) -> tuple[Tensor, ...]:
        layout = Layout(pack_index, unpack_index, lengths, self.spelling)
        return self.results(self.encoder(input_ids, position_ids, layout), layout)

    @abstractmethod
    def results(self, embedding: Tensor, layout: Layout) -> tuple[Tensor, ...]:
        """What the graph returns, in the order of `outputs`; `layout.weights` holds what the spelling made."""


class EmbedGraph(Graph):
    """Packed ids to `[b, e]`."""

    outputs = (tensors.EMBEDDING,)
    spelling = staticmethod(fused)

    @override
    def results(self, embedding: Tensor, layout: Layout) -> tuple[Tensor, ...]:
        return (embedding,)


class AttendGraph(Graph):
    """Packed ids to `[b, e]`, each reduction as `[b, s, s]` and pooled `[b, s]`, and each layer's `[b, h, s, s]`."""

    spelling = staticmethod(observable)

    def __init__(self, encoder: PackedTextEncoder, layers: int) -> None:
        super().__init__(encoder)
        reduced = [name(r) for r in tensors.REDUCTIONS for name in (tensors.matrix, tensors.pooled)]
        self.outputs = (tensors.EMBEDDING, *reduced, *map(tensors.weights, range(layers)))

    @override
    def results(self, embedding: Tensor, layout: Layout) -> tuple[Tensor, ...]:
        matrices = [relevance(layout.weights, reduction) for reduction in tensors.REDUCTIONS]
        pooled = [pool(matrix, layout.real(), self.encoder.pooling) for matrix in matrices]
        reduced = [tensor for pair in zip(matrices, pooled, strict=True) for tensor in pair]
        return (embedding, *reduced, *layout.weights)


def to_onnx(graph: Graph, source: Source) -> onnx.ModelProto:
    """Trace, clean and check one graph. Raises GraphError if its attention is not one operator a layer."""
    model = _trace(graph, source)
    _drop_unused_caches(model)
    _forget_tracing(model)
    _name_axes(model)
    found = attention_operators(model)
    if found != source.layers:
        raise GraphError(f"{found} fused attention operators for {source.layers} layers")
    return model


def attention_operators(model: onnx.ModelProto) -> int:
    """How many standard Attention operators the graph holds."""
    return sum(node.op_type == "Attention" and node.domain == "" for node in model.graph.node)


def _trace(graph: Graph, source: Source) -> onnx.ModelProto:
    items = [np.arange(n, dtype=np.int64) % source.vocabulary_size for n in (12, 5, 20)]
    example = pack(items, position_offset=source.position_offset)
    axes = {name: dict.fromkeys(range(example[name].ndim), torch.export.Dim.DYNAMIC) for name in INPUTS}
    export = cast("Callable[..., torch.onnx.ONNXProgram]", torch.onnx.export)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision's absence, once a call
        program = export(
            graph.eval(),
            tuple(torch.from_numpy(example[name]) for name in INPUTS),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=axes,
            input_names=list(INPUTS),
            output_names=list(graph.outputs),
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


def _name_axes(model: onnx.ModelProto) -> None:
    """Declare dynamic axes by the house's letters."""
    axes = {name: ["t"] for name in INPUTS} | {"unpack_index": ["b", "s"], "lengths": ["b"], tensors.EMBEDDING: ["b"]}
    for reduction in tensors.REDUCTIONS:
        axes |= {tensors.matrix(reduction): ["b", "s", "s"], tensors.pooled(reduction): ["b", "s"]}
    for value in [*model.graph.input, *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        letters = axes.get(value.name, ["b", "", "s", "s"])
        for dim, letter in zip(dims, letters, strict=False):
            if letter:
                dim.dim_param = letter
