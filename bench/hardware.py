"""Peak rate of the machine, and the arithmetic of a model."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from models.artifact.artifact_files import GRAPH_FILE

MATRIX_SIZE = 1024
REPEATS = 20
MATMUL_OPS = ("MatMul", "Gemm")


def sgemm_gflops() -> float:
    """Measured rate of float32 matrix products on all processors, the best of a few."""
    a, b = (np.random.default_rng(i).random((MATRIX_SIZE, MATRIX_SIZE), dtype=np.float32) for i in range(2))
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        np.matmul(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * MATRIX_SIZE**3 / best / 1e9


@dataclass(frozen=True)
class FlopCount:
    """Of a graph: numbers in the matrices that every position is multiplied with, layers, and their width."""

    weights: int
    layers: int
    width: int

    def gflop(self, lengths: Sequence[int]) -> float:
        """Of items of these lengths: linear maps, and attention's two products, 2 operations for each number."""
        linear = 2 * self.weights * sum(lengths)
        attention = 4 * self.layers * self.width * sum(n * n for n in lengths)
        return (linear + attention) / 1e9


def count_flops(artifact: Path) -> FlopCount:
    """Of the embedding alone: what stands in branches is not run."""
    graph = onnx.load(artifact / GRAPH_FILE, load_external_data=False).graph
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer if len(weight.dims) == 2}
    products = [shapes[node.input[1]] for node in graph.node if node.op_type in MATMUL_OPS and node.input[1] in shapes]
    width, _ = Counter(rows for rows, columns in products if rows == columns).most_common(1)[0]
    layers = sum(node.op_type == "Attention" for node in graph.node)
    return FlopCount(sum(rows * columns for rows, columns in products), layers, width)
