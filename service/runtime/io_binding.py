"""IO binding: a run that copies each input to the device once, and each output back once.

An input goes to where the graph reads it: what only chooses a branch stays with the processor. An output is copied at
the end of the run, while other threads go on, and is not copied again: the array is a view of ONNX Runtime's tensor.
"""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from models.artifact.arrays import Floats, InputArray


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
