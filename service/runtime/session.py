"""One ONNX graph, opened and run. Outputs are asked for by name; the graph is told so, and computes no others.

On CPU a graph is opened twice where there are processors for it: once for a batch that has the machine to itself, and
once for batches that run side by side, each mostly on the thread that calls. Threads that share one batch wait for each
other at every operator; batches side by side do not (docs/adr/0011-batches-side-by-side.md).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from models.contract.arrays import Data, Floats
from models.contract.asking import asking
from models.contract.errors import ArtifactError
from models.contract.manifest import GraphSpec
from models.contract.specs import Precision
from service.errors import InferenceFailed
from service.runtime import providers
from service.runtime.binding import Bound

logger = logging.getLogger(__name__)

SPIN_US = 1_000
"""How long an idle thread of a pool looks for work before it sleeps: long enough between two operators. Left alone it
burns 55 ms of a processor after each run, which whoever reads and answers requests lacks."""

FUSIONS_SLOWER_ON_CPU = ("SkipLayerNormFusion", "BiasGeluFusion")
"""What ONNX Runtime 1.31 makes of several operators when it opens a graph, and runs slower on CPU than those: with them
a text takes 2 to 3 % longer (docs/benchmarks.md)."""

_RUN_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EngineError,
    RuntimeError,  # what the bindings make of a C++ exception that is none of ONNX Runtime's own
    MemoryError,
)
_LOAD_ERRORS = (*_RUN_ERRORS, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf, ort_errors.NoSuchFile)


_Run = Callable[[Sequence[str], dict[str, Data]], Sequence[Floats]]


class Session:
    """A graph on its execution provider; `provider` is the one it really got. Safe to run from several threads."""

    def __init__(
        self,
        path: Path,
        spec: GraphSpec,
        *,
        device: providers.Asked,
        threads: int,
        side_by_side: int = 1,
        precision: Precision = "fp32",
    ) -> None:
        """`threads` of a CPU work for it, and at most `side_by_side` batches run at a time.

        Raises ArtifactError, or ProviderUnavailable for a device that was asked for by name and cannot be had.
        """
        self._outputs = spec.outputs
        self._path = path
        self._precision = precision
        wanted = providers.choose(device, spec.devices)
        self.provider = self._open_all(wanted, threads, side_by_side)
        providers.check(self.provider, wanted, device, spec.devices)
        if self.provider != wanted:
            logger.warning("%s was to run on %s, which failed; it runs on %s", path.name, wanted, self.provider)
            self._open_all(self.provider, threads, side_by_side)
        self._check_outputs(spec)
        logger.info("%s runs on %s", path.name, self.provider)

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, Data], heads: Sequence[int] = (), *, alone: bool = True
    ) -> dict[str, Floats]:
        """Compute `outputs` by name, raw weights of `heads` alone. `alone`: with every thread, for nothing else runs.

        Raises InferenceFailed, without ONNX Runtime's words: they quote paths.
        """
        run = self._run_alone if alone else self._run_beside
        try:
            arrays = run(list(outputs), {**feeds, **asking(self._outputs, outputs, heads)})
        except _RUN_ERRORS as error:
            error.add_note(f"on shapes { ({name: array.shape for name, array in feeds.items()}) }")
            raise InferenceFailed("the model could not be run") from error
        return dict(zip(outputs, arrays, strict=True))

    def _open_all(self, provider: str, threads: int, side_by_side: int) -> str:
        """Open on that provider, and return the one that the sessions got: CPU if it failed."""
        if provider != providers.CPU:
            onnxruntime.preload_dlls()
            threads = side_by_side = 1
        try:
            self._alone = self._open(provider, threads)
            beside = self._open(provider, max(1, threads - side_by_side + 1)) if side_by_side > 1 else self._alone
        except _LOAD_ERRORS as error:
            if provider == providers.CPU:
                raise ArtifactError(self._path, "cannot be loaded by this ONNX Runtime") from error
            logger.exception("%s cannot be opened on %s", self._path.name, provider)
            return providers.CPU
        on_device = provider != providers.CPU
        self._run_alone: _Run = Bound(self._alone) if on_device else self._alone.run
        self._run_beside: _Run = Bound(beside) if on_device else beside.run
        return providers.at_work(self._alone)

    def _open(self, provider: str, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # Without its own fallback, by which an option that is none, or a failing run, moves a session to CPU unsaid.
        chain = providers.chain(provider, self._precision)
        left_out = FUSIONS_SLOWER_ON_CPU if provider == providers.CPU else ()
        return onnxruntime.InferenceSession(
            self._path, options, providers=chain, enable_fallback=0, disabled_optimizers=left_out
        )

    def _check_outputs(self, spec: GraphSpec) -> None:
        found = tuple(output.name for output in self._alone.get_outputs())
        if found != spec.outputs:
            raise ArtifactError(self._path, "has other outputs than the manifest says")
