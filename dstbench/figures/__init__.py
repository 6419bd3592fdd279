"""Figures of runs, from their records and curves: `dstbench plot` and the leaderboard draw these.

runs.py       what is read: an accuracy, marks, the epochs of their curves
looks.py      the order, colour and marker of every method, the same in all figures
series.py     what figures are made of, as plain data: medians, ranges and marks
plots.py      which figures there are
lines.py      how a series is drawn
paint.py      how a figure is, and its files; needs matplotlib (`pip install 'dstbench[plots]'`)
"""

from dstbench.figures.paint import FORMATS, draw, save, size
from dstbench.figures.plots import plots
from dstbench.figures.runs import RunData, Setting, grouped, of_record, read
from dstbench.figures.series import Panel, Plot, Series

__all__ = [
    "FORMATS",
    "Panel",
    "Plot",
    "RunData",
    "Series",
    "Setting",
    "draw",
    "grouped",
    "of_record",
    "plots",
    "read",
    "save",
    "size",
]
