"""report.html: what a person reads of a run."""

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from loadtests.record import Recorder
from loadtests.report import plots
from loadtests.summary import Summary

COLUMNS = {
    "requests": "requests",
    "failures": "failed",
    "unsent": "not sent",
    "unanswered": "no answer yet",
    "offered_per_s": "meant /s",
    "requests_per_s": "right /s",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "p999_ms": "p99.9",
    "max_ms": "max",
}
LATENCIES = {name: COLUMNS[name] for name in COLUMNS if name.endswith("_ms")}


def html(summary: Summary, recorder: Recorder, host: str) -> str:
    """The whole page."""
    figures = summary.figures()
    began = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(recorder.began))
    template = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        host=escape(host),
        began=escape(began),
        loop=f"{figures['loop']} loop, {summary.seconds:.0f} s measured",
        verdicts="".join(_verdicts(summary)),
        total=_table({"all": figures}, COLUMNS),
        phases=_table({each["name"]: each for each in figures["phases"]}, COLUMNS),
        names=_table(figures["by_name"], LATENCIES),
        problems=_problems(figures["problems"]),
        plots="".join(_plots(summary, recorder)),
    )


def _verdicts(summary: Summary) -> Iterable[str]:
    if summary.generator.bottleneck:
        yield _verdict("bad", "The generator is the bottleneck: these are its own figures, not the server's.")
    if summary.searched:
        held = f"{summary.held:.4g} requests a second" if summary.held else "no rate that was tried"
        yield _verdict("good" if summary.held else "bad", f"What holds the objectives: {held}.")
    elif summary.slo.objectives:
        missed = "; ".join(summary.misses)
        yield _verdict("bad" if missed else "good", f"Objectives missed: {missed}." if missed else "Objectives held.")


def _verdict(kind: str, text: str) -> str:
    return f'<p class="verdict {kind}">{escape(text)}</p>'


def _plots(summary: Summary, recorder: Recorder) -> Iterable[str]:
    says = "By the second in which requests were meant to start. Bands tell phases apart; before them it warms up."
    yield _section("Over time", says, plots.over_time(summary, recorder))
    for title, says, svg in (
        ("Against rate", "Where more load is no longer answered as fast.", plots.against_rate(summary)),
        ("Stages", "What the server says of itself, beside what the client saw.", plots.by_stage(summary)),
        ("Distribution", "Of the latencies, with the tail drawn out.", plots.distributions(summary)),
        ("Batches", "How many items the server computed at a time, by its metrics.", plots.batch_sizes(summary)),
    ):
        if svg:
            yield _section(title, says, svg)


def _section(title: str, says: str, svg: str) -> str:
    return f"<section><h2>{title}</h2><p>{says}</p>{svg}</section>"


def _table(rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("", *columns.values()))
    return f"<table><tr>{head}</tr>{''.join(_row(name, row, columns) for name, row in rows.items())}</table>"


def _row(name: str, row: Mapping[str, Any], columns: Sequence[str] | Mapping[str, str]) -> str:
    cells = "".join(f"<td>{row[column]:,g}</td>" if isinstance(row[column], float) else f"<td>{row[column]:,}</td>"
                    for column in columns)  # fmt: skip
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def _problems(problems: Mapping[str, int]) -> str:
    if not problems:
        return "<p>None.</p>"
    return f"<ul>{''.join(f'<li>{count:,} x {escape(problem)}</li>' for problem, count in problems.items())}</ul>"
