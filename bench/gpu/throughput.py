"""Throughput of a device's matrix products, the part of it that the engine reaches, and the cost of IO binding.

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

from bench import engine_only, hardware
from bench.gpu.accuracy import random_inputs
from bench.timing import medians_ms
from models.artifact import tensors
from models.artifact.artifact_files import GRAPH_FILE
from models.artifact.graph_inputs import output_selection_inputs, pack
from models.artifact.manifest import Manifest
from models.artifact.specs import Precision
from models.preprocess.model_input import TokenizedText
from service.app_state import AppState
from service.runtime import providers
from service.runtime.encoder import TextEncoder
from service.runtime.session import IoBindingRunner

CHAIN_LENGTH, REPEATS = 10, 8
"""Consecutive products per run, and number of runs, the best of which counts."""

REQUESTS, CLIENTS = 24, 6
"""Number of different requests, and how many are in flight: more than the batches that run at once."""

ROUNDS = 30

ONNX_TYPES: dict[Precision, tuple[int, type[np.generic]]] = {
    "fp32": (TensorProto.FLOAT, np.float32),
    "fp16": (TensorProto.FLOAT16, np.float16),
}


def matmul_tflops(provider: str, precision: Precision, n: int) -> float:
    """Measured rate of products of square matrices that stay on the device, of random numbers."""
    kind, dtype = ONNX_TYPES[precision]
    device = "cpu" if provider == providers.CPU else "cuda"
    # Not TensorRT's, which may leave out what it finds out beforehand.
    chain = providers.provider_options(providers.CPU if device == "cpu" else providers.CUDA, precision)
    session = onnxruntime.InferenceSession(_matmul_chain(kind, n), providers=chain, enable_fallback=0)
    rng = np.random.default_rng(0)
    binding: Any = session.io_binding()
    for name, scale in (("x", 1.0), ("w", n**-0.5)):  # so that products of products are no larger
        value = (scale * rng.standard_normal((n, n), np.float32)).astype(dtype)
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0))
    binding.bind_output("y", device)
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        session.run_with_iobinding(binding)
        best = min(best, time.perf_counter() - started)
    return CHAIN_LENGTH * 2 * n**3 / best / 1e12


def engine_tflops(state: AppState, artifact: Path, *, tokens: int, seconds: float) -> float:
    """Rate of a model's matrix products and attention through the engine, all items of one length."""
    (encoder,) = state.models
    assert isinstance(encoder, TextEncoder), "a text model is required"
    inputs_per_request = max(1, state.settings.max_batch_tokens // tokens)
    requests = [
        [
            TokenizedText(ids.tolist(), list, truncated=False)
            for ids in random_inputs(encoder, [tokens] * inputs_per_request, seed)
        ]
        for seed in range(REQUESTS)
    ]
    for _ in range(2):  # the first is to warm up
        rate = engine_only.closed_loop(state.engine, encoder.name, requests, None, clients=CLIENTS, seconds=seconds)
    return rate * hardware.count_flops(artifact).gflop([tokens]) / 1e3


def binding_ms(artifact: Path, provider: str, batch: Sequence[np.ndarray[Any, Any]]) -> dict[str, float]:
    """Measure a batch by IO binding, as served on a GPU, and by a plain run: medians, in turn."""
    manifest = Manifest.read(artifact)
    chain = providers.provider_options(provider, manifest.precision)
    session = onnxruntime.InferenceSession(artifact / GRAPH_FILE, providers=chain, enable_fallback=0)
    outputs = [tensors.OUTPUT]
    feeds = {**pack(batch), **output_selection_inputs(manifest.graph.outputs, outputs, ())}
    bound = IoBindingRunner(session)
    durations_ms = medians_ms(
        {"bound": lambda: bound(outputs, feeds), "plain": lambda: session.run(outputs, feeds)}, rounds=ROUNDS
    )
    return {
        "bound_ms": durations_ms["bound"],
        "plain_ms": durations_ms["plain"],
        "bound_of_plain": durations_ms["bound"] / durations_ms["plain"],
    }


def _matmul_chain(kind: int, n: int) -> bytes:
    """Build a graph of `y = x w w w ...`, of which nothing can be optimized away."""
    names = ["x", *(f"y{i}" for i in range(1, CHAIN_LENGTH)), "y"]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    square = {name: helper.make_tensor_value_info(name, kind, [n, n]) for name in ("x", "w", "y")}
    graph = helper.make_graph(nodes, "products", [square["x"], square["w"]], [square["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized
