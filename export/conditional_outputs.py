"""Conditional outputs: attention and token embeddings are computed in `If` branches, only when requested.

ONNX Runtime computes every output of a graph, whichever are fetched (measured on 1.31: not even
`only_execute_path_to_fetches` spares one). So all that serves an observed output and not the embedding is moved into
branches: one `If` around all that is of the attention, and inside it one for each; and one for the positions' vectors.
That is by itself, for an `If` runs when all is there that is read in it: the attention's before the last layer has
mixed, so that what it reads is let go before that layer's widest tensors come. Nothing asked costs two tests. What two
outputs share is in both their branches: the weights of the model are in neither. An output that the embedding itself is
made from has a copy in its branch.
"""

from collections.abc import Collection, Sequence

import onnx
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from export.onnx_graph_utils import drop_unused_initializers
from models.artifact import tensors


def make_outputs_conditional(model: onnx.ModelProto) -> None:
    """Make each output but the embedding conditional on the input `tensors.OUTPUT_MASK`, in place.

    What is of the attention depends on `tensors.OUTPUT_ATTENTIONS` too.
    """
    graph = model.graph
    nodes = list(graph.node)
    optional_outputs = [output for output in graph.output if output.name != tensors.OUTPUT]
    always_computed = _ancestors(nodes, tensors.OUTPUT)
    nodes += _copy_required_outputs(nodes, always_computed, optional_outputs)
    for output in optional_outputs:
        for dim in output.type.tensor_type.shape.dim:  # any length: an output that is not asked for is empty
            dim.Clear()
    token_nodes: list[NodeProto] = []
    attention_nodes: list[NodeProto] = []
    for i, output in enumerate(optional_outputs):
        own = [nodes[j] for j in sorted(_ancestors(nodes, output.name) - always_computed)]
        (token_nodes if output.name in tensors.WITHOUT_ATTENTION else attention_nodes).extend(
            _conditional_output(i, output, own)
        )
    new_nodes = [*(nodes[j] for j in sorted(always_computed)), *token_nodes]
    attention = [output for output in optional_outputs if output.name not in tensors.WITHOUT_ATTENTION]
    if attention:
        names = [output.name for output in attention]
        branches = {
            "then_branch": _make_branch("observed", attention_nodes, attention),
            "else_branch": _empty_branch("blind", attention),
        }
        new_nodes.append(helper.make_node("If", [tensors.OUTPUT_ATTENTIONS], names, name="attention", **branches))
        graph.input.append(helper.make_tensor_value_info(tensors.OUTPUT_ATTENTIONS, TensorProto.BOOL, []))
    del graph.node[:]
    graph.node.extend(new_nodes)
    graph.input.append(helper.make_tensor_value_info(tensors.OUTPUT_MASK, TensorProto.BOOL, [len(optional_outputs)]))
    drop_unused_initializers(graph)


def _ancestors(nodes: Sequence[NodeProto], output: str) -> set[int]:
    """Return the indices of the nodes that `output` depends on."""
    producers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    found: set[int] = set()
    pending = [output]
    while pending:
        producer = producers.get(pending.pop())
        if producer is not None and producer not in found:
            found.add(producer)
            pending += [name for name in nodes[producer].input if name]
    return found


def _copy_required_outputs(
    nodes: Sequence[NodeProto], always_computed: Collection[int], outputs: Sequence[ValueInfoProto]
) -> list[NodeProto]:
    """Return nodes that copy those of `outputs` that are `always_computed` from their new internal names."""
    produced = {name for i in always_computed for name in nodes[i].output}
    names = {output.name: f"{output.name}.made" for output in outputs if output.name in produced}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return [helper.make_node("Identity", [inner], [name], name=f"{name}.copy") for name, inner in names.items()]


def _conditional_output(i: int, output: ValueInfoProto, branch_nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """Return nodes that compute `output` by `branch_nodes` if `OUTPUT_MASK[i]`, and an empty tensor otherwise."""
    name, condition = output.name, f"{output.name}.asked"
    renamed = {each: f"{name}.{each}" for node in branch_nodes for each in node.output if each}
    inner = ValueInfoProto()
    inner.CopyFrom(output)
    inner.name = renamed[name]
    then = _make_branch(f"{name}.then", [_copy_with_prefix(node, name, renamed) for node in branch_nodes], [inner])
    index = helper.make_node("Constant", [], [f"{name}.index"], name=f"{name}.index", value_int=i)
    pick = helper.make_node("Gather", [tensors.OUTPUT_MASK, f"{name}.index"], [condition], name=condition, axis=0)
    branches = {"then_branch": then, "else_branch": _empty_branch(f"{name}.else", [output])}
    return [index, pick, helper.make_node("If", [condition], [name], name=name, **branches)]


def _copy_with_prefix(node: NodeProto, prefix: str, names: dict[str, str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = f"{prefix}.{next(name for name in node.output if name)}"
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    return copy


def _empty_branch(prefix: str, outputs: Sequence[ValueInfoProto]) -> GraphProto:
    """Return a branch with an empty tensor for each of `outputs`."""
    nodes, values = [], []
    for output in outputs:
        name = f"{prefix}.{output.name}"
        empty = helper.make_tensor(name, TensorProto.FLOAT, [0] * len(output.type.tensor_type.shape.dim), [])
        nodes.append(helper.make_node("Constant", [], [name], name=name, value=empty))
        value = ValueInfoProto()
        value.CopyFrom(output)
        value.name = name
        values.append(value)
    return _make_branch(prefix, nodes, values)


def _make_branch(name: str, nodes: Sequence[NodeProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
    return helper.make_graph(list(nodes), name, [], list(outputs))
