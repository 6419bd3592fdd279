"""The runs that a leaderboard shows already."""

from pathlib import Path

from dstbench.boards.board import RejectedRecords
from dstbench.boards.read_results import group_by_cell, read_results
from dstbench.errors import UserError
from dstbench.recording.configuration import configuration
from dstbench.sweeps.plan import PlannedRun


class PublishedRuns:
    """The results of a leaderboard, by configuration and by the plugins that made them.

    leaderboard: folder with records in `records/`.
    rejected: records that the leaderboard does not show, because they cannot be read or contradict
        themselves or others. Their runs are to be repeated.

    Raises UserError for a folder without results.
    """

    def __init__(self, leaderboard: Path):
        found, unusable = read_results(leaderboard / "records")
        cells, contradictory = group_by_cell(r for r in found if not r.selected_on_test)
        self.rejected: list[RejectedRecords] = [*unusable, *contradictory]
        shown = (result for results in cells.values() for result in results)
        self._known = {(result.sha256, result.configuration) for result in shown}
        if not self._known:
            raise UserError(
                f"--published {leaderboard}: no results in {leaderboard / 'records'}. Give a "
                "leaderboard's folder, such as leaderboard."
            )

    def shows(self, run: PlannedRun) -> bool:
        """Return whether a run's result is among them."""
        return (run.sha256, configuration(run.text, dict(run.plugins))) in self._known
