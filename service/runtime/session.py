"""Session of one ONNX graph. Outputs are requested by name; the graph computes no others.

On CPU a graph is opened twice where there are processors for it: once for a batch that has the machine to itself, and
once for batches that run side by side, each mostly on the thread that calls. Threads that share one batch wait for each
other at every operator; batches side by side do not (docs/adr/0011-concurrent-batches.md).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from models.artifact.arrays import Floats, InputArray
from models.artifact.errors import ArtifactError
from models.artifact.graph_inputs import output_selection_inputs
from models.artifact.manifest import GraphSpec
from models.artifact.specs import Precision
from service.errors import InferenceFailed
from service.runtime import providers


class IoBindingRunner:
    """Runs a session; made for CUDA, right on any provider. Safe to call from several threads.

    Each run has a binding of its own: one that has run is fixed to the shapes of its outputs.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def __call__(self, outputs: Sequence[str], ort_inputs: dict[str, InputArray]) -> list[Floats]:
        """Return the named outputs, in order. Raises what the session raises."""
        binding: Any = self._session.io_binding()
        for name, array in ort_inputs.items():
            binding.bind_cpu_input(name, array)
        for name in outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return [value.numpy() for value in binding.get_outputs()]


logger = logging.getLogger(__name__)

SPIN_US = 1_000
"""Time that an idle pool thread spins before it sleeps: long enough between two operators. ONNX Runtime's default spins
for 55 ms of CPU time after each run, which the event loop then lacks."""

DISABLED_CPU_OPTIMIZERS = ("SkipLayerNormFusion", "BiasGeluFusion")
"""ONNX Runtime 1.31's fusions whose operators run slower on CPU than the ones they replace: with them a text takes 2 to
3 % longer (docs/benchmarks.md)."""

_RUN_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EngineError,
    RuntimeError,  # what the bindings raise for C++ exceptions that are not ONNX Runtime's
    MemoryError,
)
_LOAD_ERRORS = (*_RUN_ERRORS, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf, ort_errors.NoSuchFile)


_Run = Callable[[Sequence[str], dict[str, InputArray]], Sequence[Floats]]


class Session:
    """A graph on its execution provider; `provider` is the one it really got. Safe to run from several threads."""

    def __init__(
        self,
        path: Path,
        spec: GraphSpec,
        *,
        device: providers.DeviceOption,
        threads: int,
        concurrent_batches: int = 1,
        precision: Precision = "fp32",
    ) -> None:
        """Open the graph with `threads` CPU threads, for at most `concurrent_batches` concurrent batches.

        Raises ArtifactError, or ProviderUnavailable for a device that was asked for by name and cannot be had.
        """
        self._outputs = spec.outputs
        self._path = path
        self._precision = precision
        requested = providers.select_provider(device, spec.devices)
        self.provider = self._open_sessions(requested, threads, concurrent_batches)
        providers.verify_provider(self.provider, requested, device, spec.devices)
        if self.provider != requested:
            logger.warning("%s: falling back from %s to %s", path.name, requested, self.provider)
            self._open_sessions(self.provider, threads, concurrent_batches)
        self._check_outputs(spec)
        logger.info("model loaded: file=%s provider=%s", path.name, self.provider)

    def run(
        self,
        outputs: Sequence[str],
        ort_inputs: Mapping[str, InputArray],
        heads: Sequence[int] = (),
        *,
        exclusive: bool = True,
    ) -> dict[str, Floats]:
        """Compute `outputs` by name, raw weights of `heads` alone. `exclusive`: with every thread, for nothing else
        runs.

        Raises InferenceFailed, without ONNX Runtime's words: they quote paths.
        """
        run = self._run_exclusive if exclusive else self._run_concurrent
        try:
            arrays = run(list(outputs), {**ort_inputs, **output_selection_inputs(self._outputs, outputs, heads)})
        except _RUN_ERRORS as error:
            error.add_note(f"on shapes { ({name: array.shape for name, array in ort_inputs.items()}) }")
            raise InferenceFailed("the model could not be run") from error
        return dict(zip(outputs, arrays, strict=True))

    def _open_sessions(self, provider: str, threads: int, concurrent_batches: int) -> str:
        """Open on that provider, and return the one that the sessions got: CPU if it failed."""
        if provider != providers.CPU:
            onnxruntime.preload_dlls()
            threads = concurrent_batches = 1
        try:
            self._exclusive_session = self._open(provider, threads)
            concurrent_session = (
                self._open(provider, max(1, threads - concurrent_batches + 1))
                if concurrent_batches > 1
                else self._exclusive_session
            )
        except _LOAD_ERRORS as error:
            if provider == providers.CPU:
                raise ArtifactError(self._path, "cannot be loaded by this ONNX Runtime") from error
            logger.exception("%s cannot be opened on %s", self._path.name, provider)
            return providers.CPU
        on_device = provider != providers.CPU
        self._run_exclusive: _Run = (
            IoBindingRunner(self._exclusive_session) if on_device else self._exclusive_session.run
        )
        self._run_concurrent: _Run = IoBindingRunner(concurrent_session) if on_device else concurrent_session.run
        return providers.active_provider(self._exclusive_session)

    def _open(self, provider: str, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # Without ONNX Runtime's fallback: an invalid option or a failed run would silently move the session to CPU.
        provider_options = providers.provider_options(provider, self._precision)
        disabled_optimizers = DISABLED_CPU_OPTIMIZERS if provider == providers.CPU else ()
        return onnxruntime.InferenceSession(
            self._path, options, providers=provider_options, enable_fallback=0, disabled_optimizers=disabled_optimizers
        )

    def _check_outputs(self, spec: GraphSpec) -> None:
        actual = tuple(output.name for output in self._exclusive_session.get_outputs())
        if actual != spec.outputs:
            raise ArtifactError(self._path, "has outputs that differ from the manifest")
