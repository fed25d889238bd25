"""Plots of a report, each as SVG text."""

import io
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

from loadtests.histogram import Histogram, merge_histograms
from loadtests.phases import PhaseResult
from loadtests.recorder import Recorder
from loadtests.report.knee import knee
from loadtests.server_timing import STAGE_ORDER
from loadtests.summary import Summary, format_number

# Okabe and Ito's colors, which remain distinguishable with color blindness.
BLUE, ORANGE, RED, GREEN, GRAY = "#0072b2", "#e69f00", "#d55e00", "#009e73", "#767676"
PERCENTILE_STYLES = {0.5: ("p50", BLUE), 0.95: ("p95", ORANGE), 0.99: ("p99", RED)}
WIDTH_IN = 9.0


def over_time(summary: Summary, recorder: Recorder) -> str:
    """Plot latency by the second in which requests were scheduled, and their number below it."""
    figure, (latency_axes, rate_axes) = _figure(5.2, rows=2, heights=(3, 2))
    run = recorder.by_second()
    seconds = list(run)
    latency = [merge_histograms(each.latency.values()) for each in run.values()]
    for share, (name, color) in PERCENTILE_STYLES.items():
        points = [(at, each.percentile(share)) for at, each in zip(seconds, latency, strict=True) if each.count]
        if points:
            latency_axes.plot(*zip(*points, strict=True), label=name, color=color, linewidth=1.4)
    _set_log_scale(latency_axes, "y")
    latency_axes.set_ylabel("latency, ms")
    offered = [each.offered for each in run.values()]
    failed = [each.failed for each in run.values()]
    dropped = [each.dropped for each in run.values()]
    rate_axes.plot(seconds, offered, color=GRAY, label="offered", linewidth=1.4)
    rate_axes.plot(seconds, [each.count for each in latency], color=GREEN, label="ok", linewidth=1.4)
    for name, counts, color in (("failed", failed, RED), ("dropped", dropped, ORANGE)):
        if any(counts):
            rate_axes.plot(seconds, counts, color=color, label=name, linewidth=1.4)
    rate_axes.set_ylim(bottom=0)
    rate_axes.set_ylabel("requests/s")
    rate_axes.set_xlabel("second of the run")
    for axes in (latency_axes, rate_axes):
        _mark_phases(axes, summary)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _to_svg(figure, "Latency percentiles and requests per second over the run")


def latency_by_rate(summary: Summary) -> str | None:
    """Plot latency against the offered rate; None if all phases had one level."""
    phases = sorted(summary.results, key=_offered_rate)
    levels = list(map(_offered_rate, phases))
    if len({each.phase.level for each in phases}) < 2:
        return None
    figure, (axes,) = _figure(3.4)
    curves = {
        share: [merge_histograms(each.totals.latency.values()).percentile(share) for each in phases]
        for share in PERCENTILE_STYLES
    }
    for share, (name, color) in PERCENTILE_STYLES.items():
        axes.plot(levels, curves[share], "o-", label=name, color=color, linewidth=1.4, markersize=4)
    bend = knee(levels, curves[0.99])
    if bend is not None:
        axes.axvline(bend, color=GRAY, linestyle=":", label=f"knee, {format_number(bend)}/s")
    if summary.max_passing_rate:
        axes.axvline(
            summary.max_passing_rate,
            color=GREEN,
            linestyle="--",
            label=f"highest rate meeting the SLO, {format_number(summary.max_passing_rate)}/s",
        )
    for objective in summary.slo.objectives:
        if objective.name.startswith("p"):
            axes.axhline(objective.limit, color=GRAY, linewidth=0.8, label=f"{objective.name} limit")
    _set_log_scale(axes, "y")
    axes.set_xlabel("offered rate, requests/s")
    axes.set_ylabel("latency, ms")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _to_svg(figure, "Latency against offered rate")


def latency_by_stage(summary: Summary) -> str | None:
    """Plot the server's times by stage (Server-Timing) and the client's latency; None without server times."""
    stages = summary.totals.stages
    if not stages:
        return None
    names = [name for name in STAGE_ORDER if name in stages] + sorted(set(stages) - set(STAGE_ORDER))
    histograms = {name: stages[name] for name in names} | {"client": merge_histograms(summary.totals.latency.values())}
    figure, (axes,) = _figure(0.45 * len(histograms) + 1.0)
    rows = range(len(histograms), 0, -1)
    for offset, (share, (name, color)) in zip((0.26, 0.0, -0.26), PERCENTILE_STYLES.items(), strict=True):
        widths = [each.percentile(share) for each in histograms.values()]
        bars = axes.barh([place + offset for place in rows], widths, 0.24, color=color, label=name)
        axes.bar_label(bars, [f" {format_number(width)}" for width in widths], fontsize=7)
    axes.set_yticks(list(rows), list(histograms))
    _set_log_scale(axes, "x")
    axes.set_xlabel("ms, logarithmic")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _to_svg(figure, "Latency by the server's stages")


def latency_distributions(summary: Summary) -> str | None:
    """Plot the fraction of requests that were no slower, by name; None without responses."""
    histograms = sorted(summary.totals.latency.items())
    if not histograms:
        return None
    figure, (axes,) = _figure(3.2)
    for (name, histogram), color in zip(histograms, (BLUE, ORANGE, GREEN, RED), strict=False):
        _plot_cumulative(axes, histogram, f"{name} ({histogram.count})", color)
    _set_log_scale(axes, "x")
    axes.set_yscale("logit")
    axes.set_yticks([0.5, 0.9, 0.99, 0.999], ["50 %", "90 %", "99 %", "99.9 %"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0.1, 0.9995)
    axes.set_xlabel("latency, ms, logarithmic")
    axes.set_ylabel("fraction of requests")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _to_svg(figure, "Distribution of latencies")


def batch_sizes(summary: Summary) -> str | None:
    """Plot the number of items per batch; None if the server's metrics lack it."""
    if not summary.batches:
        return None
    figure, (axes,) = _figure(2.6)
    bars = axes.bar(list(summary.batches), list(summary.batches.values()), color=BLUE)
    axes.bar_label(bars, fontsize=8)
    axes.set_xlabel("batch size")
    axes.set_ylabel("batches")
    return _to_svg(figure, "Batches by size")


def _offered_rate(result: PhaseResult) -> float:
    return result.totals.offered / result.seconds


def _plot_cumulative(axes: Axes, histogram: Histogram, name: str, color: str) -> None:
    points = histogram.cumulative()
    axes.plot(*zip(*points, strict=True), label=name, color=color, linewidth=1.4, drawstyle="steps-post")


def _set_log_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Set a logarithmic scale with plain numbers: powers of ten would need further fonts."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _mark_phases(axes: Axes, summary: Summary) -> None:
    for i, each in enumerate(summary.results):
        if i % 2 == 0:
            axes.axvspan(each.start, each.end, color="#f1f3f5", zorder=0)


def _figure(height_in: float, *, rows: int = 1, heights: Sequence[float] = (1,)) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure((WIDTH_IN, height_in), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, height_ratios=heights)[:, 0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", color="#e3e6e8", linewidth=0.6)
        each.set_axisbelow(True)
    return figure, list(axes)


def _to_svg(figure: Figure, title: str) -> str:
    """Return the figure's SVG element, without the header of a separate file."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = file.getvalue()
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
