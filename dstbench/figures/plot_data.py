"""The data of a figure: series in panels, with labels and axes.

A Plot holds everything that is drawn, so that two drawings can be compared by their data instead of
their pixels. Standard library only.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field

from dstbench.figures.styles import Style
from dstbench.utils.printable import utf8

Mark = tuple[str, float, float | None]  # "collapsed" or "diverged", x, y; None: bottom of the axes


@dataclass(frozen=True)
class Series:
    """One method in one panel.

    label: the method's name, for the legend.
    style: its colour, marker and line.
    xs: in ascending order.
    middle: the median over seeds at each x.
    low: the lowest value over seeds at each x.
    high: the highest value over seeds at each x.
    marks: failed runs.
    points: (x, value) of every seed, where seeds are shown one by one.
    """

    label: str
    style: Style
    xs: list[float]
    middle: list[float]
    low: list[float]
    high: list[float]
    marks: list[Mark]
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Panel:
    """One pair of axes of a figure."""

    title: str
    series: list[Series]


@dataclass(frozen=True)
class Axes:
    """How the axes of all panels are scaled.

    sparsities: ticks of an x axis of sparsities; None where x is something else.
    log_x: whether x is logarithmic.
    symlog: whether y is logarithmic, and linear near zero.
    bottom: lowest y that is shown; None leaves it to matplotlib.
    top: highest y that is shown; None takes it from the data.
    own_y: whether every panel has a y axis of its own.
    """

    sparsities: list[float] | None = None
    log_x: bool = False
    symlog: bool = False
    bottom: float | None = None
    top: float | None = None
    own_y: bool = False


@dataclass(frozen=True)
class Plot:
    """One figure. name: of its files, without ending."""

    name: str
    title: str
    caption: str
    xlabel: str
    ylabel: str
    panels: list[Panel]
    axes: Axes = field(default_factory=Axes)

    @property
    def sha256(self) -> str:
        """Hash of everything that is drawn."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(utf8(text)).hexdigest()
