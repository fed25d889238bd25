"""Report of a run: one self-contained page with plots, and CSV files."""

from pathlib import Path

from loadtests.recorder import Recorder
from loadtests.report.csv_files import write_phases, write_seconds
from loadtests.report.page import html
from loadtests.summary import Summary


def write(folder: Path, summary: Summary, recorder: Recorder, host: str) -> None:
    """Write report.html, seconds.csv and phases.csv to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(html(summary, recorder, host), encoding="utf-8")
    write_seconds(folder / "seconds.csv", summary, recorder)
    write_phases(folder / "phases.csv", summary)
