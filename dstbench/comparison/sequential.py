"""Trains pair after pair until a sequential test decides which of two methods is ahead."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dstbench.comparison.pair_plan import Pair
from dstbench.errors import UserError
from dstbench.recording.record import OVER
from dstbench.recording.types import Record
from dstbench.statistics import symmetry_test
from dstbench.statistics.symmetry_test import Decision
from dstbench.sweeps.plan import PlannedRun

# assumed: a diverged run counts as an accuracy of zero. Leaving its pair out would favour a method
# that diverges, and its side of the pair would no longer be a matter of chance.
DIVERGED_ACCURACY = 0.0


class RunFailed(Exception):
    """A run of a pair could not be finished.

    run: the run.
    reason: why it failed.
    """

    def __init__(self, run: PlannedRun, reason: str):
        super().__init__(reason)
        self.run, self.reason = run, reason


@dataclass(frozen=True)
class Outcome:
    """The result of one run.

    accuracy: the one that the protocol reports, percent; DIVERGED_ACCURACY for a diverged run.
    remark: "collapsed" or "diverged"; empty for neither.
    selected_on_test: whether its epoch was chosen on the test images.
    """

    accuracy: float
    remark: str = ""
    selected_on_test: bool = False


@dataclass(frozen=True)
class PairOutcome:
    """The results of two runs with the same seed."""

    seed: int
    a: Outcome
    b: Outcome

    @property
    def difference(self) -> float:
        """A's accuracy minus B's, percentage points."""
        return self.a.accuracy - self.b.accuracy


@dataclass(frozen=True)
class Comparison:
    """The pairs so far, in the order of their seeds, and what they show."""

    pairs: tuple[PairOutcome, ...] = ()

    @cached_property
    def differences(self) -> np.ndarray:
        """A's accuracy minus B's of every pair, (n,), percentage points."""
        return np.array([pair.difference for pair in self.pairs])

    @cached_property
    def evidence(self) -> float:
        """Evidence against "neither is ahead" after the last pair; starts at 1."""
        return float(symmetry_test.evidence(self.differences).total[-1]) if self.pairs else 1.0

    @cached_property
    def decision(self) -> Decision | None:
        """Which method is ahead; None while that is not decided."""
        return symmetry_test.decide(self.differences) if self.pairs else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the centre of the differences, valid after every pair."""
        return symmetry_test.interval(self.differences)


def compare(
    pairs: Iterable[Pair], train: Callable[[Sequence[PlannedRun]], None]
) -> Iterator[Comparison]:
    """Yield the comparison after each pair, and stop at the first that is decided.

    train: runs those of a pair that are not done; raises RunFailed.
    """
    found = Comparison()
    for pair in pairs:
        missing = [run for run in (pair.a, pair.b) if run.stage() not in OVER]
        if missing:
            train(missing)
        outcome = PairOutcome(pair.seed, _outcome(pair.a), _outcome(pair.b))
        found = Comparison((*found.pairs, outcome))
        yield found
        if found.decision is not None:
            return


def _outcome(run: PlannedRun) -> Outcome:
    record = run.record()
    if record is None:
        raise RunFailed(run, "its record is missing")
    return outcome(record)


def outcome(record: Record) -> Outcome:
    """Return the result in the record of a finished or diverged run."""
    if record["status"] == "diverged":
        return Outcome(DIVERGED_ACCURACY, "diverged")
    accuracy = record["accuracy"]
    value = accuracy[accuracy["shown"]]
    if value is None:
        raise UserError(
            f"{record['method']}, seed {record['seed']}, has no accuracy: no epoch's network was "
            "within its budget, and its protocol reports the best of those that are. Compare with "
            "--protocol strict, which reports the last epoch."
        )
    return Outcome(
        accuracy=value,
        remark="collapsed" if record["health"]["collapsed"] else "",
        selected_on_test=accuracy["selected_on_test"],
    )
