"""What the machine can do at most, and how much of it a model asks for."""

import time
from pathlib import Path

import numpy as np
import onnx

from models.contract.artifact import GRAPH_FILE

SIDE = 1024
PRODUCTS = 20


def sgemm_gflops() -> float:
    """Measured rate of float32 matrix products on all processors, the best of a few."""
    a, b = (np.random.default_rng(i).random((SIDE, SIDE), dtype=np.float32) for i in range(2))
    best = float("inf")
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        np.matmul(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best / 1e9


def weights_of_products(artifact: Path) -> int:
    """Numbers in the matrices that every token is multiplied with; those of branches that observe are not run."""
    graph = onnx.load(artifact / GRAPH_FILE, load_external_data=False).graph
    matrices = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer if len(weight.dims) == 2}
    products = [node for node in graph.node if node.op_type in {"MatMul", "Gemm"}]
    return sum(matrices.get(node.input[1], 0) for node in products)


def gflop(weights: int, layers: int, width: int, lengths: list[int]) -> float:
    """Of items of these lengths: linear maps, and attention's two products, 2 operations for each number."""
    linear = 2 * weights * sum(lengths)
    attention = 4 * layers * width * sum(n * n for n in lengths)
    return (linear + attention) / 1e9
