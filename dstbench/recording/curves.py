"""Reads the curves of a run: one line of JSON per epoch, checked against `types.EpochLine`.

Standard library only, so that figures and leaderboards need no torch.
"""

from pathlib import Path
from typing import cast

from dstbench.errors import UserError
from dstbench.recording.json_types import type_problem
from dstbench.recording.types import EpochLine
from dstbench.utils.files import content_of
from dstbench.utils.json_text import parse_json


def read_curves(path: Path) -> list[EpochLine]:
    """Return the lines of a curves.jsonl, one per epoch; none where there is no such file.

    Every line has its epoch and may lack other fields. Numbers may be null, because JSON has no
    NaN.

    Raises UserError when the file cannot be read, or a line is not that of an epoch.
    """
    lines = (content_of(path) or b"").splitlines()
    return [_epoch_line(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]


def _epoch_line(text: bytes, place: str) -> EpochLine:
    try:
        line = parse_json(text)
    except UnicodeDecodeError:
        problem: str | None = "it is not UTF-8 text"
    except ValueError as error:
        problem = f"it is not JSON: {error}"
    else:
        problem = _problem(line)
    if problem:
        raise UserError(
            f"{place} holds no epoch ({problem}). Restore the file, or delete it to go on without "
            "the curves of this run."
        )
    return cast(EpochLine, line)


def _problem(line: object) -> str | None:
    """Return why parsed JSON is not the line of an epoch, None if it is."""
    if not isinstance(line, dict):
        return f"it contains a {type(line).__name__}, not an object"
    known = {name: value for name, value in line.items() if value is not None}
    return type_problem(known, EpochLine, "") if "epoch" in known else "it lacks its epoch"
