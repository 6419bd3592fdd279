"""The records that a leaderboard has, against which each new one is checked."""

from contextlib import suppress
from functools import cached_property
from pathlib import Path

from dstbench.boards.cells import Result
from dstbench.boards.conflicts import conflicts
from dstbench.boards.read_results import group_by_cell, result_from_record
from dstbench.boards.validation import inconsistencies
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.types import Record
from dstbench.utils.json_files import json_files


class PresentRecords:
    """Records of a folder that do not contradict themselves, read once, when first needed."""

    def __init__(self, folder: Path):
        self._folder = folder

    def conflict(self, record: Record, name: str) -> str | None:
        """Return why a new record contradicts those that are present, or None.

        record: without inconsistencies. name: of its file, without ending.
        """
        for names, message in conflicts([*self._records, (name, record)]):
            if name in names:
                others = ", ".join(sorted({*names} - {name}))
                return f"{message}{f' ({others})' if others else ''}."
        result = result_from_record(record, name)
        cell = [*(one for one in self._results if one.key == result.key), result]
        _, rejected = group_by_cell(cell)
        return next((f"{', '.join(one.names)} {one.reason}" for one in rejected), None)

    @cached_property
    def _records(self) -> list[tuple[str, Record]]:
        found = []
        for path in json_files(self._folder):
            with suppress(UserError):  # the board reports it
                record = records.read(path)
                if not list(inconsistencies(record)):
                    found.append((path.stem, record))
        return found

    @cached_property
    def _results(self) -> list[Result]:
        return [result_from_record(record, name) for name, record in self._records]
