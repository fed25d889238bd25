"""The plots of a report, each as SVG text to put into a page."""

import io
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

from loadtests.histogram import Histogram, merged
from loadtests.phases import Result
from loadtests.record import Recorder
from loadtests.report.knee import knee
from loadtests.stages import ORDER
from loadtests.summary import Summary, plain

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, RED, GREEN, GREY = "#0072b2", "#e69f00", "#d55e00", "#009e73", "#767676"
SHARES = {0.5: ("p50", BLUE), 0.95: ("p95", ORANGE), 0.99: ("p99", RED)}
WIDTH_IN = 9.0


def over_time(summary: Summary, recorder: Recorder) -> str:
    """Latency by the second in which requests were meant to start, and below it how many there were."""
    figure, (above, below) = _figure(5.2, rows=2, heights=(3, 2))
    run = recorder.seconds()
    seconds = list(run)
    latency = [merged(each.latency.values()) for each in run.values()]
    for share, (name, colour) in SHARES.items():
        points = [(at, each.percentile(share)) for at, each in zip(seconds, latency, strict=True) if each.count]
        if points:
            above.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.4)
    _logarithmic(above, "y")
    above.set_ylabel("latency, ms")
    offered = [each.offered for each in run.values()]
    failed = [each.failed for each in run.values()]
    unsent = [each.unsent for each in run.values()]
    below.plot(seconds, offered, color=GREY, label="meant to start", linewidth=1.4)
    below.plot(seconds, [each.count for each in latency], color=GREEN, label="of those answered right", linewidth=1.4)
    for name, counts, colour in (("failed", failed, RED), ("not sent", unsent, ORANGE)):
        if any(counts):
            below.plot(seconds, counts, color=colour, label=name, linewidth=1.4)
    below.set_ylim(bottom=0)
    below.set_ylabel("requests a second")
    below.set_xlabel("second of the run")
    for axes in (above, below):
        _mark_phases(axes, summary)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _svg(figure, "Latency percentiles and requests a second, over the run")


def against_rate(summary: Summary) -> str | None:
    """Latency against what was offered; None where all phases were of one level."""
    phases = sorted(summary.results, key=_offered)
    levels = list(map(_offered, phases))
    if len({each.phase.level for each in phases}) < 2:
        return None
    figure, (axes,) = _figure(3.4)
    curves = {share: [merged(each.seen.latency.values()).percentile(share) for each in phases] for share in SHARES}
    for share, (name, colour) in SHARES.items():
        axes.plot(levels, curves[share], "o-", label=name, color=colour, linewidth=1.4, markersize=4)
    bend = knee(levels, curves[0.99])
    if bend is not None:
        axes.axvline(bend, color=GREY, linestyle=":", label=f"knee, {plain(bend)}/s")
    if summary.held:
        axes.axvline(summary.held, color=GREEN, linestyle="--", label=f"highest that held, {plain(summary.held)}/s")
    for objective in summary.slo.objectives:
        if objective.name.startswith("p"):
            axes.axhline(objective.limit, color=GREY, linewidth=0.8, label=f"{objective.name} wanted")
    _logarithmic(axes, "y")
    axes.set_xlabel("requests a second that were meant to start")
    axes.set_ylabel("latency, ms")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _svg(figure, "Latency against offered rate")


def by_stage(summary: Summary) -> str | None:
    """Where the time went, as the server tells it, beside what the client saw; None where it tells nothing."""
    stages = summary.seen.stages
    if not stages:
        return None
    names = [name for name in ORDER if name in stages] + sorted(set(stages) - set(ORDER))
    shown = {name: stages[name] for name in names} | {"seen by the client": merged(summary.seen.latency.values())}
    figure, (axes,) = _figure(0.45 * len(shown) + 1.0)
    places = range(len(shown), 0, -1)
    for offset, (share, (name, colour)) in zip((0.26, 0.0, -0.26), SHARES.items(), strict=True):
        widths = [each.percentile(share) for each in shown.values()]
        bars = axes.barh([place + offset for place in places], widths, 0.24, color=colour, label=name)
        axes.bar_label(bars, [f" {plain(width)}" for width in widths], fontsize=7)
    axes.set_yticks(list(places), list(shown))
    _logarithmic(axes, "x")
    axes.set_xlabel("ms, logarithmic")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _svg(figure, "Latency by the server's stages")


def distributions(summary: Summary) -> str | None:
    """The share of requests that were no slower, by name; None of no answers."""
    named = sorted(summary.seen.latency.items())
    if not named:
        return None
    figure, (axes,) = _figure(3.2)
    for (name, histogram), colour in zip(named, (BLUE, ORANGE, GREEN, RED), strict=False):
        _curve(axes, histogram, f"{name} ({histogram.count})", colour)
    _logarithmic(axes, "x")
    axes.set_yscale("logit")
    axes.set_yticks([0.5, 0.9, 0.99, 0.999], ["50 %", "90 %", "99 %", "99.9 %"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0.1, 0.9995)
    axes.set_xlabel("latency, ms, logarithmic")
    axes.set_ylabel("no slower")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return _svg(figure, "Distribution of latencies")


def batch_sizes(summary: Summary) -> str | None:
    """How many items the server computed at a time; None where its metrics do not say."""
    if not summary.batches:
        return None
    figure, (axes,) = _figure(2.6)
    bars = axes.bar(list(summary.batches), list(summary.batches.values()), color=BLUE)
    axes.bar_label(bars, fontsize=8)
    axes.set_xlabel("items in a batch")
    axes.set_ylabel("batches")
    return _svg(figure, "Batches by size")


def _offered(result: Result) -> float:
    return result.seen.offered / result.seconds


def _curve(axes: Axes, histogram: Histogram, name: str, colour: str) -> None:
    points = histogram.cumulative()
    axes.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.4, drawstyle="steps-post")


def _logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """With plain numbers: powers of ten would be mathematics, in fonts of their own."""
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


def _svg(figure: Figure, title: str) -> str:
    """From the element on: what stands before it belongs to a file of its own."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = file.getvalue()
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
