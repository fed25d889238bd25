"""Style of the plots: white, labeled, with lines that dashes and markers distinguish even without color.

The colors are those of Okabe & Ito, "Color Universal Design" (2008).
"""

from pathlib import Path
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: Final = ("-", "--", "-.", ":", "-", "--", "-.")

SERIES_STYLES: Final[tuple[dict[str, Any], ...]] = tuple(
    {"color": color, "marker": marker, "linestyle": dash}
    for color, marker, dash in zip(_COLORS, _MARKERS, _DASHES, strict=True)
)
"""Style per series, in plotting order."""

REFERENCE: Final[dict[str, Any]] = {"color": "0.45", "linestyle": (0, (1, 2)), "linewidth": 1.2}
"""Style of lines that are not measurements."""

_SETTINGS: Final[dict[Any, Any]] = {
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.hashsalt": "headlight",  # the same figures give the same file
}


def panels(*titles: str, width: float = 4.6) -> tuple[Figure, list[Axes]]:
    """Create a row of axes, one per title, each `width` inches wide."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width * len(titles), 3.5), layout="constrained")
        axes = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for each, title in zip(axes, titles, strict=True):
        each.set_title(title, loc="left")
    return figure, axes


def legend(axes: Axes, *, at: tuple[float, float] | None = None, title: str | None = None) -> None:
    """Add a legend: where there is room, or from `at` (lower left, in fractions of the panel) up."""
    where: Literal["best"] | tuple[float, float] = "best" if at is None else at
    axes.legend(loc=where, title=title, fontsize=8, title_fontsize=8, frameon=True, framealpha=0.8, edgecolor="none")


def save(figure: Figure, path: Path) -> None:
    """Write an SVG, or the format of the suffix."""
    with mpl.rc_context(_SETTINGS):
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
