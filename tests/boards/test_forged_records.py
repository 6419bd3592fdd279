"""Forged records: each change of a consistent record is found, by the record alone."""

import copy
import json
import random
from pathlib import Path

import pytest
from helpers import record_factory
from helpers.lab import write_records
from helpers.record_factory import make_record, name_of

from dstbench.boards.conflicts import conflicts
from dstbench.boards.curve_checks import curve_problems
from dstbench.boards.validation import inconsistencies
from dstbench.config.resolved_text import read_resolved
from dstbench.errors import UserError
from dstbench.recording import predictions


def with_text(record, text):
    return record | {"config": {"text": text, "sha256": record_factory.sha256(text)}}


def replaced(old, new):
    def change(record, chance):
        return with_text(record, record["config"]["text"].replace(old, new))

    return change


def put(*path):
    """Return a change that sets the value at a path to what a function draws."""
    *keys, last, draw = path

    def change(record, chance):
        inside = record
        for key in keys:
            inside = inside[key]
        inside[last] = draw(inside[last], chance)
        return record

    return change


FORGERIES = {
    "shown": put("accuracy", "shown", lambda old, c: "test_final"),
    "selected on test": put("accuracy", "selected_on_test", lambda old, c: True),
    "impossible accuracy": put(
        "accuracy", "test_at_best_val", lambda old, c: old + c.uniform(0.0011, 0.0089)
    ),
    "impossible final accuracy": put(
        "accuracy", "test_final", lambda old, c: old + c.uniform(0.0011, 0.0089)
    ),
    "impossible validation": put("accuracy", "best_val", lambda old, c: old + 0.01),
    "empty text": lambda record, c: with_text(record, ""),
    "half a text": lambda record, c: with_text(
        record, "".join(record["config"]["text"].splitlines(True)[: c.randrange(1, 14)])
    ),
    "comment in the text": lambda record, c: with_text(record, "# x\n" + record["config"]["text"]),
    "included file": lambda record, c: with_text(
        record, record["config"]["text"] + "include '/etc/passwd'\n"
    ),
    "no gin": lambda record, c: with_text(record, "Run.seed = ("),
    "other seed in the text": replaced("Run.seed = 0", "Run.seed = 7"),
    "other sparsity in the text": replaced("ERK.sparsity = 0.99", "ERK.sparsity = 0.9"),
    "other dataset in the text": replaced("'cifar10'", "'cifar100'"),
    "other protocol in the text": replaced("protocol = 'paper'", "protocol = 'strict'"),
    "other precision in the text": replaced("'bf16'", "'fp32'"),
    "other method in the text": replaced("'RigL'", "'RigL2'"),
    "unknown protocol": lambda record, c: replaced("'paper'", "'mine'")(
        record | {"protocol": "mine"}, c
    ),
    "asked": put("sparsity", "asked", lambda old, c: c.choice([0.0, 0.5, 0.98, True])),
    "MACs": put("cost", "macs", lambda old, c: old - c.randrange(1, 900)),
    "dense MACs": put("cost", "dense_macs", lambda old, c: old * 2),
    "FLOPs": put("cost", "flops", lambda old, c: old // 2),
    "live weights of a layer": put("cost", "layers", 0, "live", lambda old, c: old - 1),
    "shape of a layer": put("cost", "layers", 0, "shape", lambda old, c: [3, 7]),
    "no layers": put("cost", "layers", lambda old, c: []),
    "layers of another kind": put("cost", "layers", lambda old, c: ["conv.weight"]),
    "too few predictions": put(
        "predictions", "test", lambda old, c: predictions.encode([1] * c.randrange(1, 9999), 10)
    ),
    "predictions that are none": put("predictions", "test", lambda old, c: "AAAA"),
    "Cyrillic method": lambda record, c: replaced("'RigL'", "'RіgL'")(
        record | {"method": "RіgL"}, c
    ),
    "method with a space": lambda record, c: replaced("'RigL'", "'RigL '")(
        record | {"method": "RigL "}, c
    ),
    "method with a zero-width space": lambda record, c: replaced("'RigL'", repr("Rig\u200bL"))(
        record | {"method": "Rig\u200bL"}, c
    ),
    "attempt": put("provenance", "attempt", lambda old, c: c.choice(["", None, 7])),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("seed", range(3))
def test_forged_record_is_refused(name, seed):
    chance = random.Random(f"{name} {seed}")
    honest = make_record(accuracy=chance.randrange(0, 10_000) / 100)
    assert list(inconsistencies(honest)) == []
    assert list(inconsistencies(FORGERIES[name](copy.deepcopy(honest), chance)))


def test_text_of_a_record_is_read_without_importing_anything():
    text = make_record()["config"]["text"]
    resolved = read_resolved("import antigravity\n" + text)
    assert resolved.imports == ("antigravity",) and not resolved.is_of_the_suite
    with pytest.raises(UserError, match=r"lacks Run\.batch_size"):
        read_resolved("import os\n")


def test_one_attempt_under_several_seeds_is_refused():
    made = [make_record(seed=seed) for seed in range(3)]
    assert list(conflicts(enumerate(made))) == []
    made[2]["provenance"]["attempt"] = made[0]["provenance"]["attempt"]
    ((group, message),) = conflicts(enumerate(made))
    assert group == (0, 2) and "same provenance.attempt" in message


@pytest.mark.parametrize("name", ["rigl", "RIGL", "R1gL", "Rig-L", "RigL.", "Rig|"])
def test_name_that_looks_like_one_of_the_suite_is_refused_alone(name):
    made = [make_record("RigL"), make_record(name), make_record("SET")]
    ((group, message),) = conflicts(enumerate(made))
    assert group == (1,) and "look alike" in message


def test_two_unknown_names_that_look_alike_are_both_refused():
    made = [make_record("Mine"), make_record("M1ne", seed=1)]
    ((group, _),) = conflicts(enumerate(made))
    assert set(group) == {0, 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"val_accuracy": [50.0, 70.0, 80.0]}, "accuracy.val_final is 90.0"),
        ({"val_accuracy": [50.0, 90.0]}, "have 2 epochs"),
        ({"sparsity": [0.99, 0.99, 0.9]}, "sparsity.measured is 0.99"),
        ({"val_accuracy": None}, "is no curve file"),
        ({"val_accuracy": [50.0, "x", "x"]}, "val_accuracy[1] is 'x', not a number"),
        ({"val_accuracy": [50.0, 70.0, None]}, "accuracy.val_final"),
        ({"sparsity": []}, "of 3 epochs and sparsity of 0"),
    ],
)
def test_curves_that_contradict_the_record_are_refused(tmp_path, change, message):
    record = replaced("Run.epochs = 250", "Run.epochs = 3")(make_record(), None)
    curves = {"val_accuracy": [50.0, 70.0, 90.0], "sparsity": [0.99] * 3} | change
    (tmp_path / "one.json").write_text(json.dumps(curves))
    found = list(curve_problems(record, tmp_path / "one.json"))
    assert (found == []) if message is None else message in found[0]


@pytest.mark.parametrize("method, claimed", [("SET", True), ("MEST soft", False)])
def test_dense_to_sparse_follows_from_the_parts(method, claimed):
    record = make_record(method)
    assert list(inconsistencies(record)) == []
    record["dense_to_sparse"] = claimed
    (problem,) = inconsistencies(record)
    assert problem == (
        f"dense_to_sparse is {claimed}; for the parts of its configuration it is {not claimed}"
    )


def test_best_and_final_validation_accuracy_of_one_epoch_are_equal(tmp_path):
    record = replaced("Run.epochs = 250", "Run.epochs = 3")(make_record(), None)
    record["accuracy"]["best_val"] = 90.0002
    curves = {"val_accuracy": [50.0, 70.0, 90.0], "sparsity": [0.99] * 3}
    path = tmp_path / "one.json"
    path.write_text(json.dumps(curves))
    assert "both are of epoch 3" in next(iter(curve_problems(record, path)))


@pytest.mark.slow  # draws figures
def test_stranger_takes_neither_place_nor_cell_of_a_present_record(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    from helpers.lab import GRID, write_run_folder

    Path("mine.gin").write_text(GRID)
    honest = make_record(accuracy=90.0)
    (name,) = write_records(Path("leaderboard"), honest)
    kept = Path(f"leaderboard/records/{name}.json").read_bytes()
    place = copy.deepcopy(honest)
    place["accuracy"] |= {"test_at_best_val": 99.0}
    cell = make_record(seed=1, accuracy=99.0, settings={"SGD.lr": "0.2"})
    attempt = make_record("SET", seed=5)
    attempt["provenance"]["attempt"] = honest["provenance"]["attempt"]
    alike = make_record("R1gL", accuracy=99.0)
    for i, forged in enumerate((place, cell, attempt, alike)):
        folder = write_run_folder(Path("stranger") / str(i), forged, epochs=250)
        folder.rename(folder.with_name(name))  # a folder's name decides nothing
        code, _, err = call("leaderboard", "mine.gin", "--from", f"stranger/{i}")
        assert code == 1, (i, err)
        assert [p.name for p in Path("leaderboard/records").iterdir()] == [f"{name}.json"]
        assert Path(f"leaderboard/records/{name}.json").read_bytes() == kept
    assert "99.00" not in Path("leaderboard/mine.md").read_text()
    assert name == name_of(honest)
