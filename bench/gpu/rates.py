"""What the device's matrix products can do, how much of it the engine gets out of it, and what a bound run costs.

Letters: n side of a square matrix.
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from bench import inside, machine
from bench.gpu.agreement import items
from bench.rounds import medians_ms
from models.contract import tensors
from models.contract.artifact import GRAPH_FILE
from models.contract.asking import asking
from models.contract.manifest import Manifest
from models.contract.packing import pack
from models.contract.specs import Precision
from service.runtime import providers
from service.runtime.binding import Bound
from service.runtime.encoder import TextEncoder
from service.state import State

CHAIN, TRIES = 10, 8
"""Products one after another in a run, and runs, the best of which counts."""

REQUESTS, CLIENTS = 24, 6
"""Requests, all different, and how many of them are under way at a time: more than the batches that run at once."""

ROUNDS = 30

TYPES: dict[Precision, tuple[int, type[np.generic]]] = {
    "fp32": (TensorProto.FLOAT, np.float32),
    "fp16": (TensorProto.FLOAT16, np.float16),
}


def matmul_tflops(provider: str, precision: Precision, n: int) -> float:
    """Measured rate of products of square matrices that stay on the device, of random numbers."""
    kind, dtype = TYPES[precision]
    device = "cpu" if provider == providers.CPU else "cuda"
    # Not TensorRT's, which may leave out what it finds out beforehand.
    chain = providers.chain(providers.CPU if device == "cpu" else providers.CUDA, precision)
    session = onnxruntime.InferenceSession(_products(kind, n), providers=chain, enable_fallback=0)
    rng = np.random.default_rng(0)
    binding: Any = session.io_binding()
    for name, scale in (("x", 1.0), ("w", n**-0.5)):  # so that products of products are no larger
        value = (scale * rng.standard_normal((n, n), np.float32)).astype(dtype)
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0))
    binding.bind_output("y", device)
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        session.run_with_iobinding(binding)
        best = min(best, time.perf_counter() - began)
    return CHAIN * 2 * n**3 / best / 1e12


def engine_tflops(state: State, artifact: Path, *, tokens: int, seconds: float) -> float:
    """Rate of a model's matrix products and attention through the engine, all items of one length."""
    (encoder,) = state.models.values()
    assert isinstance(encoder, TextEncoder), "this is of texts"
    a_request = max(1, state.settings.max_batch_tokens // tokens)
    requests = [
        [encoder.given(ids.tolist()) for ids in items(encoder, [tokens] * a_request, seed)] for seed in range(REQUESTS)
    ]
    for _ in range(2):  # the first is to warm up
        rate = inside.closed_loop(state.engine, encoder.name, requests, None, clients=CLIENTS, seconds=seconds)
    return rate * machine.work(artifact).gflop([tokens]) / 1e3


def binding_ms(artifact: Path, provider: str, batch: Sequence[np.ndarray[Any, Any]]) -> dict[str, float]:
    """A batch by IO binding, as it is served on a GPU, and by a plain run: medians, in turn."""
    manifest = Manifest.read(artifact)
    chain = providers.chain(provider, manifest.precision)
    session = onnxruntime.InferenceSession(artifact / GRAPH_FILE, providers=chain, enable_fallback=0)
    outputs = [tensors.EMBEDDING]
    fed = {**pack(batch), **asking(manifest.graph.outputs, outputs, ())}
    bound = Bound(session)
    took = medians_ms({"bound": lambda: bound(outputs, fed), "plain": lambda: session.run(outputs, fed)}, rounds=ROUNDS)
    return {"bound_ms": took["bound"], "plain_ms": took["plain"], "bound_of_plain": took["bound"] / took["plain"]}


def _products(kind: int, n: int) -> bytes:
    """A graph of `y = x w w w ...`, which nothing can be left out of."""
    names = ["x", *(f"y{i}" for i in range(1, CHAIN)), "y"]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    square = {name: helper.make_tensor_value_info(name, kind, [n, n]) for name in ("x", "w", "y")}
    graph = helper.make_graph(nodes, "products", [square["x"], square["w"]], [square["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized
