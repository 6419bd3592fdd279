"""One network under several seeds is refused, all its records; honest ones are kept."""

import random
from pathlib import Path

import pytest
from helpers.record_factory import make_record

from dstbench.boards.conflicts import conflicts
from dstbench.recording import predictions


def run(seed, accuracy=44.0, drawn=None, collapsed=False, **names):
    """Return a record whose predictions are random classes."""
    record = make_record(seed=seed, accuracy=accuracy, collapsed=collapsed, **names)
    chance = random.Random(seed if drawn is None else drawn)
    classes = [chance.randrange(10) for _ in range(10_000)]
    record["predictions"]["test"] = predictions.encode(classes, 10)
    return record


def found(*records):
    paths = [Path(f"records/run{i}.json") for i in range(len(records))]
    return list(conflicts(zip(paths, records, strict=True)))


def test_networks_of_different_seeds_are_no_conflict():
    assert found(run(0), run(1), run(2)) == []


def test_one_network_under_two_seeds_names_both():
    one, other = run(0), run(1)
    other["network"] = one["network"]
    ((group, message),) = found(one, other, run(2))
    assert [path.stem for path in group] == ["run0", "run1"]
    assert "same network" in message and "run0 (seed 0) and run1 (seed 1)" in message


def test_one_network_at_its_best_epoch_under_two_seeds_is_refused():
    records = [run(0), run(1)]
    for record in records:
        record["network_at_best_val"] = {"sha256": "ab", "bytes": 1, "data": ""}
    ((_, message),) = found(*records)
    assert "same network_at_best_val" in message


@pytest.mark.parametrize("changed", [0, 2, 400])
def test_predictions_that_nearly_agree_under_two_seeds_are_refused(changed):
    one, other = run(0), run(1, drawn=0)
    classes = predictions.decode(other["predictions"]["test"], 10)
    for i in range(changed):
        classes[i] = (classes[i] + 1) % 10
    other["predictions"]["test"] = predictions.encode(classes, 10)
    ((group, message),) = found(one, other)
    assert len(group) == 2 and f"but for {changed} of 10,000 images" in message


def test_predictions_at_chance_of_one_class_or_nearly_perfect_may_agree():
    assert found(run(0, 10.0, 0, collapsed=True), run(1, 10.0, 0, collapsed=True)) == []
    assert found(run(0, 99.6, 0), run(1, 99.6, 0)) == []
    one_class = [make_record(seed=seed, accuracy=10.5) for seed in (0, 1)]
    assert found(*one_class) == []


def test_one_network_of_one_seed_under_two_protocols_is_no_conflict():
    one, other = run(0), run(0, protocol="strict")
    other["network"] = one["network"]
    assert found(one, other) == []


def test_initial_weights_may_be_equal_under_two_seeds():
    """Those of DCTpS are zeros; a model of a plugin may load its own."""
    records = [run(0), run(1)]
    for record in records:
        record["provenance"]["initial_weights_sha256"] = "ab"
    assert found(*records) == []
