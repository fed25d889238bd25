"""Progress of an export: one line per step on standard error, with its duration."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StepProgress:
    """Counts steps: `with progress("exporting to ONNX"): ...`. `before` is called at the start of each."""

    def __init__(self, steps: int, before: Callable[[], None] = lambda: None) -> None:
        self._steps = steps
        self._before = before
        self._current = 0

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self._before()
        self._current += 1
        print(f"[{self._current}/{self._steps}] {what} ...", end="", file=sys.stderr, flush=True)
        began = time.monotonic()
        outcome = "failed"
        try:
            yield
            outcome = f"{time.monotonic() - began:.1f} s"
        finally:
            print(f" {outcome}", file=sys.stderr, flush=True)
