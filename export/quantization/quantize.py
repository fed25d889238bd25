"""Quantization of an encoder: calibrated on one corpus, evaluated on another."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from export import external_data
from export.quantization import quality
from export.quantization.int8 import quantize
from export.targets.base import ExportTarget, GraphInputs, Item
from models.artifact import tensors
from models.artifact.arrays import Floats
from models.artifact.artifact_files import GRAPH_FILE
from models.artifact.graph_inputs import output_selection_inputs
from models.artifact.manifest import Quality
from models.artifact.specs import Precision

BATCH_SIZE = 16


def quantize_int8(model: onnx.ModelProto, directory: Path, target: ExportTarget) -> onnx.ModelProto:
    """Replace the graph in `directory` by one with int8 linear layers, calibrated on the subject's own corpus."""
    items = sorted(target.corpus("calibration"), key=lambda item: item.shape[-1])
    target.release()
    quantized = quantize(model, [_feeds(target, batch) for batch in _batches(items)], directory)
    external_data.save_with_external_data(quantized, directory)
    return quantized


def evaluate_quality(staging_dir: Path, target: ExportTarget, precision: Precision) -> Quality:
    """Compare the reduced model with its own outputs in float32.

    Of 8-bit layers it is the graph in `staging_dir`. Half floats are torch's: ONNX Runtime has few kernels for them on
    CPU and computes the rest in float32, where nothing would overflow that does on CUDA.
    """
    corpus = target.corpus("gate")
    if precision == "fp16":
        return quality.measure(target.run, partial(target.run, half=True), corpus, target.task)
    session = onnxruntime.InferenceSession(staging_dir / GRAPH_FILE, providers=["CPUExecutionProvider"])

    def run_quantized(items: Sequence[Item]) -> Floats:
        return np.asarray(session.run([tensors.OUTPUT], _feeds(target, items))[0])

    return quality.measure(target.run, run_quantized, corpus, target.task)


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]


def _feeds(target: ExportTarget, items: Sequence[Item]) -> GraphInputs:
    return {**target.graph_inputs(items), **output_selection_inputs(target.outputs, (), target.heads)}
