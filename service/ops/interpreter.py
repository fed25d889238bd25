"""Settings of the Python process: garbage collection, thread switches, metrics in memory."""

import gc
import sys

from prometheus_client import values

SWITCH_INTERVAL_S = 0.0002
"""How long a thread may keep the interpreter that another waits for. At Python's 5 ms a processor that is done with a
batch stands idle while requests are read: 4 % of the throughput on short texts (docs/adr/0011)."""

GC_THRESHOLDS = 5_000, 2, 1_000
"""Of the collector's generations. A request is freed by its references when it is answered, so what the collector
looks at is what is in flight: 1 ms of a processor for 10,000 objects, and over 10 ms for 50,000. The oldest are looked
at once in some ten million, for what a library may leave behind in circles."""


def disable_multiprocess_metrics() -> None:
    """Before the first metric is made: BentoML's environment asks for counts in files, for its several processes.

    This is one process, which may have no place to write to, and counting in memory costs less.
    """
    values.ValueClass = values.MutexValue


def tune_interpreter() -> None:
    """When all that stays has been made: keep it out of every later collection (114 ms at p99, 4 ms without)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
