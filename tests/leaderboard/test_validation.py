"""`dstbench validate`: each thing that is wrong is one line with its file."""

import json
from pathlib import Path

import pytest
from helpers.lab import PRUNABLE, name_of, record, write

from dstbench.config.choices import Choices
from dstbench.training.configure import assemble
from dstbench.training.run import run_name


@pytest.fixture
def validate(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)

    def run(*made, name=None):
        names = write(Path("."), *made, name=name)
        code, out, err = call("validate", *(f"records/{one}.json" for one in names))
        return code, out.splitlines()[:-1], err

    return run


def test_a_sound_record_has_no_complaint(validate):
    assert validate(record(), record(seed=1), record("SET", diverged=True)) == (0, [], "")


def wrong(section, key, value):
    def change(made):
        made[section][key] = value
        return made

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong("accuracy", "test_final", 101.0), "accuracy.test_final is 101.0"),
        (wrong("accuracy", "best_val", -1.0), "accuracy.best_val is -1.0"),
        (wrong("accuracy", "test_at_best_val", None), "no accuracy to show"),
        (wrong("accuracy", "shown", "best_val"), "accuracy.shown is 'best_val'"),
        (wrong("accuracy", "selected_on_test", None), "selected_on_test is None"),
        (wrong("health", "collapsed", None), "health.collapsed is None"),
        (wrong("sparsity", "measured", 0.5), "sparsity.measured is 0.5, but"),
        (wrong("sparsity", "effective", 0.5), "is below sparsity.measured"),
        (wrong("sparsity", "effective", 1.5), "sparsity.effective is 1.5"),
        (wrong("sparsity", "asked", 1.0), "sparsity.asked is 1.0"),
        (wrong("cost", "live_weights", PRUNABLE + 1), "live of 100000 prunable"),
        (wrong("config", "text", "Run.seed = 1\n"), "one of them was changed"),
        (wrong("provenance", "commit", None), "names no commit"),
        (wrong("provenance", "dirty", True), "not that of commit c09d0e42"),
        (wrong("provenance", "plugins", [1]), "provenance.plugins is [1]"),
        (wrong("provenance", "dataset_sha256", []), "provenance.dataset_sha256 is []"),
        (lambda made: made | {"seed": "0"}, "seed is '0'"),
        (lambda made: made | {"seed": 9}, "seed is 9, but its configuration says 0"),
        (lambda made: made | {"method": "Mine"}, "method is 'Mine', but its configuration says"),
        (lambda made: made | {"recipe": "mine"}, "recipe is 'mine', but its configuration says"),
        (lambda made: made | {"dataset": "svhn"}, "dataset is 'svhn', but its configuration says"),
        (lambda made: made | {"status": "failed"}, "is not over"),
    ],
)
def test_what_is_wrong_is_said(validate, change, said):
    made = record()
    name = name_of(made)
    code, lines, _ = validate(change(made), name=name)
    assert code == 1
    assert any(line.startswith(f"records/{name}.json: ") and said in line for line in lines)


def test_a_wrong_budget_is_said_with_the_right_one(validate):
    code, (line,), _ = validate(record(live=1001))
    assert code == 1 and "1,001 live weights" in line and "leaves 1,000" in line


def test_a_name_that_does_not_match_is_said_with_the_right_one(validate):
    code, (line,), _ = validate(record(), name="mine")
    assert code == 1 and f"{name_of(record())}.json" in line


def test_the_same_run_twice_is_said_once(validate, call):
    names = write(Path("."), record())
    write(Path("."), record(), name="copy")
    code, out, _ = call("validate", f"records/{names[0]}.json", "records/copy.json")
    assert code == 1
    assert "records/copy.json: is the same configuration and seed as records/" in out


def test_what_is_no_record_is_a_complaint_and_the_others_are_still_looked_at(call, tmp_path):
    (name,) = write(tmp_path, record(live=5))
    broken = tmp_path / "records" / "broken.json"
    broken.write_text(json.dumps({"schema": 1}))
    code, out, _ = call("validate", str(broken), str(tmp_path / "records" / f"{name}.json"))
    assert code == 1
    assert "not a complete record" in out and "off its budget" in out


@pytest.mark.parametrize("path", ["absent.json", "."])
def test_what_cannot_be_read_is_a_mistake(call, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("validate", path)
    assert code == 2 and out == "" and path in err


def test_records_are_called_as_the_folders_of_runs():
    run, resolved = assemble(Choices(("methods/rigl_ws.gin",)), "fp32")
    made = record("RigL w/ WS", 0, sparsity=0.9, dataset="digits", model="ResNet20")
    made["config"]["sha256"] = resolved.sha256
    assert name_of(made) == run_name(run, resolved)
