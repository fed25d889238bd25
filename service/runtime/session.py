"""One ONNX graph, opened and run. Outputs are asked for by name; the graph is told so, and computes no others.

All sessions of a process share one thread pool: with a pool each, the idle one's spinning threads slow the busy one
down by half (docs/adr/0003-one-thread-pool.md).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from models.contract.arrays import Data, Floats
from models.contract.asking import asking
from models.contract.errors import ArtifactError
from models.contract.manifest import GraphSpec
from service.errors import InferenceFailed
from service.runtime import providers

logger = logging.getLogger(__name__)

_RUN_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_LOAD_ERRORS = (*_RUN_ERRORS, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf, ort_errors.NoSuchFile)


class Session:
    """A graph on its execution provider; `provider` is the one it really got."""

    def __init__(self, path: Path, spec: GraphSpec, *, device: Literal["auto", "cpu", "cuda"], threads: int) -> None:
        wanted = providers.choose(device, spec.devices)
        _shared_thread_pool(threads)
        if wanted == providers.CUDA:
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.use_per_session_threads = False
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=[wanted])
        except _LOAD_ERRORS as error:
            raise ArtifactError(path, "cannot be loaded by this ONNX Runtime") from error
        self._name = path.name
        self._outputs = spec.outputs
        self.provider = providers.verify(wanted, self._session, device)
        self._check_outputs(path, spec)
        logger.info("%s runs on %s", path.name, self.provider)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Data], heads: Sequence[int] = ()) -> dict[str, Floats]:
        """Compute `outputs` by name, raw weights of `heads` alone.

        Raises InferenceFailed, without ONNX Runtime's words: they quote paths.
        """
        try:
            arrays = self._session.run(list(outputs), {**feeds, **asking(self._outputs, outputs, heads)})
        except _RUN_ERRORS as error:
            logger.exception("%s failed on shapes %s", self._name, {name: array.shape for name, array in feeds.items()})
            raise InferenceFailed("the model could not be run") from error
        return dict(zip(outputs, arrays, strict=True))

    def _check_outputs(self, path: Path, spec: GraphSpec) -> None:
        found = tuple(output.name for output in self._session.get_outputs())
        if found != spec.outputs:
            raise ArtifactError(path, "has other outputs than the manifest says")


_pool_threads: list[int] = []


def _shared_thread_pool(threads: int) -> None:
    """Size the process' pool before the first session exists: ONNX Runtime makes it once and never resizes it."""
    if not _pool_threads:
        onnxruntime.set_global_thread_pool_sizes(threads, 1)
        _pool_threads.append(threads)
    elif threads != _pool_threads[0]:
        logger.warning("the thread pool of this process has %d threads already, not %d", _pool_threads[0], threads)
