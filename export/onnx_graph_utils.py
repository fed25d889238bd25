"""Iteration over the nodes of an ONNX graph, branches included."""

from collections.abc import Iterable

from onnx import GraphProto, NodeProto


def all_nodes(graph: GraphProto) -> Iterable[NodeProto]:
    """Yield the nodes of a graph and of every branch in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


def drop_unused_initializers(graph: GraphProto) -> None:
    """Drop initializers that no node reads and that are no output."""
    used = {name for node in all_nodes(graph) for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
