"""The leaderboard's figures: those of `dstbench plot`, from records and reduced curves.

A picture is drawn anew only when what it shows has changed: figures.json keeps, for every file, the
hash of the data it was drawn from, so that two versions of matplotlib agree on what is up to date.
After a change of the drawing itself, delete the folder to have all of them drawn again.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dstbench.figures.drawing import FORMATS, save
from dstbench.figures.plots import plots
from dstbench.figures.run_data import RunData, Setting, grouped
from dstbench.figures.series import Plot
from dstbench.leaderboard.board import Board, Result
from dstbench.utils.files import write_atomic

HASHES = "figures.json"


def sets(board: Board) -> dict[Setting, list[Plot]]:
    """The figures of every setting that has sparse runs; nothing is drawn yet."""
    groups = grouped(_run(board, result) for result in board.results)
    found = {
        setting: plots(runs) for setting, runs in groups.items() if any(r.sparsity for r in runs)
    }
    return {setting: every for setting, every in found.items() if every}


def draw(board: Board, into: Path) -> list[Path]:
    """Bring the pictures in `into` up to date: `<setting>/<figure>.png` and `.svg`; all of them.

    Those that nothing is to be shown in any more are deleted. Raises UserError when one is to be
    drawn and matplotlib is missing, or a file cannot be written.
    """
    known = _hashes(into)
    wanted = _wanted(board)
    for setting, plot in _each(board):
        files = [_file(setting, plot, suffix) for suffix in FORMATS]
        if any(known.get(f) != plot.sha256 or not (into / f).is_file() for f in files):
            save(plot, into / setting.slug)
    for file in set(known) - set(wanted):
        (into / file).unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (into / file).parent.rmdir()
    if wanted:
        text = json.dumps(wanted, indent=1, sort_keys=True)
        write_atomic(into / HASHES, f"{text}\n".encode())
    else:
        (into / HASHES).unlink(missing_ok=True)
    return [into / file for file in wanted]


def stale(board: Board, into: Path) -> list[str]:
    """Files in `into` that are missing, left over, or drawn from other data than the board's."""
    known, wanted = _hashes(into), _wanted(board)
    missing = {file for file in wanted if not (into / file).is_file()}
    return sorted(missing | {f for f in {*known, *wanted} if known.get(f) != wanted.get(f)})


def _each(board: Board) -> Iterator[tuple[Setting, Plot]]:
    for setting, every in sets(board).items():
        for plot in every:
            yield setting, plot


def _wanted(board: Board) -> dict[str, str]:
    """File → hash of what it shows."""
    return {
        _file(setting, plot, suffix): plot.sha256
        for setting, plot in _each(board)
        for suffix in FORMATS
    }


def _file(setting: Setting, plot: Plot, suffix: str) -> str:
    return f"{setting.slug}/{plot.name}{suffix}"


def _hashes(into: Path) -> dict[str, str]:
    try:
        hashes = json.loads((into / HASHES).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(hashes, dict):
        return {}
    ours = re.compile(r"[\w.]*-[\w.-]*/\w+\.\w+")  # never a file elsewhere
    return {file: digest for file, digest in hashes.items() if ours.fullmatch(file)}


def _run(board: Board, result: Result) -> RunData:
    """A result and its curves, epoch by epoch."""
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
    )
