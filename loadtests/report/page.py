"""Page report.html."""

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from loadtests.recorder import Recorder
from loadtests.report import plots
from loadtests.summary import Summary

COLUMNS = {
    "requests": "requests",
    "failures": "failed",
    "dropped": "dropped",
    "in_flight": "in flight",
    "offered_per_s": "offered/s",
    "requests_per_s": "ok/s",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "p999_ms": "p99.9",
    "max_ms": "max",
}
LATENCIES = {name: COLUMNS[name] for name in COLUMNS if name.endswith("_ms")}


def html(summary: Summary, recorder: Recorder, host: str) -> str:
    """Render the page."""
    figures = summary.figures()
    started_at = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(recorder.started_at))
    template = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        host=escape(host),
        began=escape(started_at),
        loop=f"{figures['loop']} loop, {summary.seconds:.0f} s measured",
        verdicts="".join(_verdicts(summary)),
        total=_table({"all": figures}, COLUMNS),
        phases=_table({each["name"]: each for each in figures["phases"]}, COLUMNS),
        names=_table(figures["by_name"], LATENCIES),
        problems=_problems(figures["problems"]),
        plots="".join(_plots(summary, recorder)),
    )


def _verdicts(summary: Summary) -> Iterable[str]:
    if summary.generator.saturated:
        yield _verdict("bad", "Load generator saturated: these figures describe the generator, not the server.")
    if summary.is_search:
        max_rate = (
            f"{summary.max_passing_rate:.4g} requests a second"
            if summary.max_passing_rate
            else "none of the rates tried"
        )
        yield _verdict("good" if summary.max_passing_rate else "bad", f"Highest rate meeting the SLO: {max_rate}.")
    elif summary.slo.objectives:
        violations = "; ".join(summary.violations)
        yield _verdict("bad" if violations else "good", f"SLO violated: {violations}." if violations else "SLO met.")


def _verdict(kind: str, text: str) -> str:
    return f'<p class="verdict {kind}">{escape(text)}</p>'


def _plots(summary: Summary, recorder: Recorder) -> Iterable[str]:
    description = "By the second of the intended start. Bands mark phases; the part before them is warm-up."
    yield _section("Over time", description, plots.over_time(summary, recorder))
    for title, description, svg in (
        ("Against rate", "Latency against the offered rate.", plots.latency_by_rate(summary)),
        ("Stages", "Server-side stages (Server-Timing) and client-side latency.", plots.latency_by_stage(summary)),
        (
            "Distribution",
            "Cumulative distribution of latencies, with the tail stretched.",
            plots.latency_distributions(summary),
        ),
        ("Batches", "Batch sizes from the server's metrics.", plots.batch_sizes(summary)),
    ):
        if svg:
            yield _section(title, description, svg)


def _section(title: str, description: str, svg: str) -> str:
    return f"<section><h2>{title}</h2><p>{description}</p>{svg}</section>"


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
