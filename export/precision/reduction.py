"""An encoder in fewer bits: fitted on one corpus, judged on another."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from export import weights
from export.precision import quality
from export.precision.int8 import quantize
from export.subjects.base import Feeds, Item, Subject
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.artifact import GRAPH_FILE
from models.contract.asking import asking
from models.contract.manifest import Quality
from models.contract.specs import Precision

BATCH = 16


def to_bytes(model: onnx.ModelProto, directory: Path, subject: Subject) -> onnx.ModelProto:
    """Replace the graph in `directory` by one with its linear layers in bytes, fitted to the subject's own corpus."""
    items = sorted(subject.corpus("calibration"), key=len)
    subject.release()
    reduced = quantize(model, [_feeds(subject, batch) for batch in _batches(items)], directory)
    weights.write(reduced, directory)
    return reduced


def quality_of(staged: Path, subject: Subject, precision: Precision) -> Quality:
    """The reduced encoder against its own vectors in float32.

    Of 8-bit layers it is the graph in `staged`. Half floats are torch's: ONNX Runtime has few kernels for them on CPU
    and computes the rest in float32, where nothing would overflow that does on CUDA.
    """
    corpus = subject.corpus("gate")
    if precision == "fp16":
        return quality.measure(subject.embed, partial(subject.embed, half=True), corpus)
    session = onnxruntime.InferenceSession(staged / GRAPH_FILE, providers=["CPUExecutionProvider"])

    def reduced(items: Sequence[Item]) -> Floats:
        return np.asarray(session.run([tensors.EMBEDDING], _feeds(subject, items))[0])

    return quality.measure(subject.embed, reduced, corpus)


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _feeds(subject: Subject, items: Sequence[Item]) -> Feeds:
    return {**subject.feed(items), **asking(subject.outputs, (), subject.heads)}
