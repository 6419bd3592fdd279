"""The leaderboard's figures: those of `dstbench plot`, from records and reduced curves.

A figure is redrawn only when its data has changed: figures.json has the hash of each file's data,
so that two versions of matplotlib agree on what is up to date. After a change of the drawing code,
delete the folder to redraw everything.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dstbench.boards.board import Board
from dstbench.boards.cells import Result
from dstbench.figures.define_plots import define_plots
from dstbench.figures.draw_plots import FORMATS, save_plot
from dstbench.figures.load_runs import RunData, Setting, by_setting, cost_fraction
from dstbench.figures.plot_data import Plot
from dstbench.utils.files import write_atomic
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8

HASHES = "figures.json"


def plots_by_setting(board: Board) -> dict[Setting, list[Plot]]:
    """Return the figures of every setting that has sparse runs; draws nothing."""
    groups = by_setting(_run_data(board, result) for result in board.results)
    found = {
        setting: define_plots(runs)
        for setting, runs in groups.items()
        if any(r.sparsity for r in runs)
    }
    return {setting: plots for setting, plots in found.items() if plots}


def draw_stale(board: Board, into: Path) -> list[Path]:
    """Bring the figures in `into` up to date; return the paths of all.

    Paths are `<setting>/<figure>.png` and `.svg`. Figures that the board no longer has are deleted.

    Raises UserError when matplotlib is missing and a figure must be drawn, or a file cannot be
    written.
    """
    known = _stored_hashes(into)
    wanted = _wanted_hashes(board)
    for setting, plot in _all_plots(board):
        files = [_file(setting, plot, suffix) for suffix in FORMATS]
        if any(known.get(f) != plot.sha256 or not (into / f).is_file() for f in files):
            save_plot(plot, into / setting.slug)
    for file in set(known) - set(wanted):
        (into / file).unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (into / file).parent.rmdir()
    if wanted:
        text = json.dumps(wanted, indent=1, sort_keys=True)
        write_atomic(into / HASHES, utf8(f"{text}\n"))
    else:
        (into / HASHES).unlink(missing_ok=True)
    return [into / file for file in wanted]


def stale_figures(board: Board, into: Path) -> list[str]:
    """Return the files in `into` that are missing, left over, or drawn from other data."""
    known, wanted = _stored_hashes(into), _wanted_hashes(board)
    missing = {file for file in wanted if not (into / file).is_file()}
    return sorted(missing | {f for f in {*known, *wanted} if known.get(f) != wanted.get(f)})


def _all_plots(board: Board) -> Iterator[tuple[Setting, Plot]]:
    for setting, plots in plots_by_setting(board).items():
        for plot in plots:
            yield setting, plot


def _wanted_hashes(board: Board) -> dict[str, str]:
    """Return file → hash of its plot."""
    return {
        _file(setting, plot, suffix): plot.sha256
        for setting, plot in _all_plots(board)
        for suffix in FORMATS
    }


def _file(setting: Setting, plot: Plot, suffix: str) -> str:
    return f"{setting.slug}/{plot.name}{suffix}"


def _stored_hashes(into: Path) -> dict[str, str]:
    try:
        hashes = parse_json((into / HASHES).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(hashes, dict):
        return {}
    ours = re.compile(r"[\w.]*-[\w.-]*/\w+\.\w+")  # never a file outside the folder
    return {file: digest for file, digest in hashes.items() if ours.fullmatch(file)}


def _run_data(board: Board, result: Result) -> RunData:
    """Return a result and its curves, epoch by epoch."""
    curves = board.curves(result) or {}
    lists = {name: values for name, values in curves.items() if isinstance(values, list)}
    length = max((len(values) for values in lists.values()), default=0)
    lists.setdefault("epoch", list(range(1, length + 1)))
    epochs = [
        {name: values[i] for name, values in lists.items() if i < len(values)}
        for i in range(length)
    ]
    column = result.key.column
    collapsed = "collapsed" if result.collapsed else None
    return RunData(
        setting=Setting(*(getattr(column, name) for name in Setting._fields)),
        method=result.key.method,
        sparsity=column.sparsity,
        accuracy=None if result.diverged else result.accuracy,
        mark="diverged" if result.diverged else collapsed,
        layers_positive=curves.get("layers_positive") or {},
        curves=epochs,
        macs=cost_fraction(result.macs, result.dense_macs),
        training=cost_fraction(result.training_flops, result.dense_training_flops),
    )
