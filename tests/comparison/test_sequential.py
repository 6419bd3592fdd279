"""Pairs are trained until the test decides; finished runs are reused."""

import pytest
from helpers.record_factory import make_record

from dstbench.comparison.pair_plan import Pair
from dstbench.comparison.sequential import Comparison, Outcome, PairOutcome, compare, outcome


class MadeUpRun:
    """A planned run whose record appears when it is trained."""

    def __init__(self, accuracy, done=False):
        self.made, self.done = make_record(accuracy=accuracy), done

    def stage(self):
        return "finished" if self.done else "missing"

    def record(self):
        return self.made if self.done else None


def pairs_of(a, b, done=0):
    """Return pairs with accuracies a and b; the first `done` are finished."""
    return [
        Pair(seed, MadeUpRun(x, seed < done), MadeUpRun(y, seed < done))
        for seed, (x, y) in enumerate(zip(a, b, strict=True))
    ]


def run(pairs):
    trained = []

    def train(runs):
        for one in runs:
            one.done = True
        trained.extend(runs)

    return list(compare(pairs, train)), trained


def test_compare_stops_at_the_pair_that_decides():
    found, trained = run(pairs_of([92.0 + i / 10 for i in range(20)], [90.0] * 20))
    assert [one.decision is None for one in found] == [True] * (len(found) - 1) + [False]
    assert found[-1].decision.sign == 1 and 6 <= len(found) <= 8
    assert len(trained) == 2 * len(found)


def test_compare_reports_the_method_that_is_ahead():
    found, _ = run(pairs_of([80.0] * 20, [81.0 + i / 10 for i in range(20)]))
    assert found[-1].decision.sign == -1 and (found[-1].differences < 0).all()


def test_compare_without_a_difference_is_not_decided():
    found, _ = run(pairs_of([90.0, 91.0] * 6, [91.0, 90.0] * 6))
    assert len(found) == 12 and found[-1].decision is None


def test_compare_reuses_finished_runs():
    found, trained = run(pairs_of([92.0] * 20, [90.0] * 20, done=4))
    assert len(trained) == 2 * (len(found) - 4)
    again, trained = run(pairs_of([92.0] * 20, [90.0] * 20, done=20))
    assert not trained and again[-1].decision == found[-1].decision


def test_compare_trains_only_the_missing_run_of_a_pair():
    pairs = pairs_of([92.0] * 20, [90.0] * 20)
    pairs[0].a.done = True
    _, trained = run(pairs)
    assert trained[0] is pairs[0].b


def test_diverged_run_counts_as_zero():
    assert outcome(make_record(status="diverged")) == Outcome(0.0, "diverged")
    ties = [PairOutcome(s, Outcome(0.0, "diverged"), Outcome(0.0, "diverged")) for s in range(9)]
    assert Comparison(tuple(ties)).evidence == 1.0


def test_collapsed_run_is_marked():
    assert outcome(make_record(accuracy=10.0, collapsed=True)).remark == "collapsed"


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_outcome_is_the_accuracy_that_the_protocol_reports(protocol):
    record = make_record(accuracy=90.0, protocol=protocol)
    record["accuracy"][record["accuracy"]["shown"]] = 77.0
    assert outcome(record).accuracy == 77.0
