"""Outputs that are computed only when they are asked for.

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

from export.nodes import drop_unused
from models.contract import tensors


def gate(model: onnx.ModelProto) -> None:
    """Make each output but the embedding conditional on the input `tensors.ASKED`, in place.

    What is of the attention depends on `tensors.OBSERVE` too.
    """
    graph = model.graph
    nodes = list(graph.node)
    observed = [output for output in graph.output if output.name != tensors.EMBEDDING]
    always = _needed(nodes, tensors.EMBEDDING)
    nodes += _copies(nodes, always, observed)
    for output in observed:
        for dim in output.type.tensor_type.shape.dim:  # any length: an output that is not asked for is empty
            dim.Clear()
    alone: list[NodeProto] = []
    within: list[NodeProto] = []
    for i, output in enumerate(observed):
        own = [nodes[j] for j in sorted(_needed(nodes, output.name) - always)]
        (alone if output.name == tensors.POSITIONS else within).extend(_conditional(i, output, own))
    kept = [*(nodes[j] for j in sorted(always)), *alone]
    attention = [output for output in observed if output.name != tensors.POSITIONS]
    if attention:
        names = [output.name for output in attention]
        branches = {"then_branch": _branch("observed", within, attention), "else_branch": _nothing("blind", attention)}
        kept.append(helper.make_node("If", [tensors.OBSERVE], names, name="observe", **branches))
        graph.input.append(helper.make_tensor_value_info(tensors.OBSERVE, TensorProto.BOOL, []))
    del graph.node[:]
    graph.node.extend(kept)
    graph.input.append(helper.make_tensor_value_info(tensors.ASKED, TensorProto.BOOL, [len(observed)]))
    drop_unused(graph)


def _needed(nodes: Sequence[NodeProto], output: str) -> set[int]:
    """Indices of the nodes that `output` depends on."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    found: set[int] = set()
    waiting = [output]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and maker not in found:
            found.add(maker)
            waiting += [name for name in nodes[maker].input if name]
    return found


def _copies(nodes: Sequence[NodeProto], always: Collection[int], outputs: Sequence[ValueInfoProto]) -> list[NodeProto]:
    """Nodes that make those of `outputs` that are made `always`, out of what is from now on called otherwise."""
    made = {name for i in always for name in nodes[i].output}
    names = {output.name: f"{output.name}.made" for output in outputs if output.name in made}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return [helper.make_node("Identity", [inner], [name], name=f"{name}.copy") for name, inner in names.items()]


def _conditional(i: int, output: ValueInfoProto, own: Sequence[NodeProto]) -> list[NodeProto]:
    """Nodes that make `output` by `own` if `ASKED[i]`, and nothing else."""
    name, asked = output.name, f"{output.name}.asked"
    made = {each: f"{name}.{each}" for node in own for each in node.output if each}
    inner = ValueInfoProto()
    inner.CopyFrom(output)
    inner.name = made[name]
    then = _branch(f"{name}.then", [_renamed(node, name, made) for node in own], [inner])
    index = helper.make_node("Constant", [], [f"{name}.index"], name=f"{name}.index", value_int=i)
    pick = helper.make_node("Gather", [tensors.ASKED, f"{name}.index"], [asked], name=asked, axis=0)
    branches = {"then_branch": then, "else_branch": _nothing(f"{name}.else", [output])}
    return [index, pick, helper.make_node("If", [asked], [name], name=name, **branches)]


def _renamed(node: NodeProto, prefix: str, names: dict[str, str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = f"{prefix}.{next(name for name in node.output if name)}"
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    return copy


def _nothing(prefix: str, outputs: Sequence[ValueInfoProto]) -> GraphProto:
    """A branch that gives an empty tensor for each of `outputs`."""
    nodes, values = [], []
    for output in outputs:
        name = f"{prefix}.{output.name}"
        empty = helper.make_tensor(name, TensorProto.FLOAT, [0] * len(output.type.tensor_type.shape.dim), [])
        nodes.append(helper.make_node("Constant", [], [name], name=name, value=empty))
        value = ValueInfoProto()
        value.CopyFrom(output)
        value.name = name
        values.append(value)
    return _branch(prefix, nodes, values)


def _branch(name: str, nodes: Sequence[NodeProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
    return helper.make_graph(list(nodes), name, [], list(outputs))
