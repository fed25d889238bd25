"""CSV files of a report: a line per second, and one per phase."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtests.recorder import Recorder
from loadtests.summary import Summary, bucket_figures


def write_seconds(path: Path, summary: Summary, recorder: Recorder) -> None:
    """Write a line per second in which requests were scheduled, warm-up included: its `phase` is empty."""
    run = recorder.by_second()
    _write(path, ({"second": at, "phase": _phase_name(summary, at), **bucket_figures(run[at], 1.0)} for at in run))


def write_phases(path: Path, summary: Summary) -> None:
    """Write a line per measured phase."""
    _write(path, summary.figures()["phases"])


def _phase_name(summary: Summary, at: int) -> str:
    return next((each.phase.name for each in summary.results if each.start <= at + 0.5 < each.end), "")


def _write(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    rows = list(lines)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
