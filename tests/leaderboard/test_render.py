"""`dstbench leaderboard`: collects, renders, checks; nothing is written by a check."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from helpers.lab import GRID, name_of, record, run_folder, write

from dstbench.records import record as records


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.gin").write_text(GRID)
    write(Path("leaderboard"), *(record(m, s, 50.0 + s) for m in ("SET", "RigL") for s in (0, 1)))
    return tmp_path


def contents(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_a_check_passes_right_after_rendering_and_writes_nothing(lab, call):
    code, out, err = call("leaderboard", "mine.gin")
    assert (code, err) == (0, "")
    before = contents(lab)
    assert {"leaderboard/mine.md", "leaderboard/README.md", "leaderboard/index.html"} <= {*before}
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 0 and "up to date" in out
    assert contents(lab) == before


def test_rendering_again_changes_nothing(lab, call):
    call("leaderboard", "mine.gin")
    before = contents(lab)
    call("leaderboard", "mine.gin")
    assert contents(lab) == before


def test_a_check_names_what_is_stale(lab, call):
    call("leaderboard", "mine.gin")
    write(Path("leaderboard"), record("EAST", 0, 99.0))
    before = contents(lab)
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 1
    for name in ("mine.md", "README.md", "index.html"):
        assert f"leaderboard/{name}: is not what the records give" in out
    assert "leaderboard/figures/" in out
    assert contents(lab) == before


def test_a_check_sees_an_edited_table(lab, call):
    call("leaderboard", "mine.gin")
    table = Path("leaderboard/mine.md")
    table.write_text(table.read_text().replace("50.", "90."))
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 1 and "mine.md" in out and "README.md" not in out


def test_refusals_are_said_and_do_not_stop_the_rest(lab, call):
    (name,) = write(Path("leaderboard"), record("EAST", 0, 99.0, live=5))
    code, _, err = call("leaderboard", "mine.gin")
    assert code == 0 and name in err and "off its budget" in err
    assert "99.00" not in Path("leaderboard/mine.md").read_text()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("mine.gin", "--check", "--from", "runs"), "--check writes nothing"),
        (("mine.gin", "--check", "--out", "nowhere"), "no such folder"),
        (("mine.gin", "--from", "nowhere"), "no such folder"),
        (("mine.gin", "--from", "sqlite:///nowhere.db"), "no such database"),
        (("mine.gin", "other/mine.gin"), "the name mine is taken"),
        (("other/README.gin",), "the name README is taken"),
        (("absent.gin",), "no such grid"),
    ],
)
def test_mistakes(lab, call, argv, said):
    Path("other").mkdir()
    shutil.copy("mine.gin", "other")
    shutil.copy("mine.gin", "other/README.gin")
    before = contents(lab)
    code, _, err = call("leaderboard", *argv)
    assert code == 2 and said in err and "Traceback" not in err
    assert contents(lab) == before


# --- collecting -----------------------------------------------------------------------------------


def test_runs_that_are_over_are_collected_with_their_curves(lab, call):
    runs = lab / "runs"
    folder = run_folder(runs / "deep", record("EAST", 0, 95.0), epochs=3)
    run_folder(runs, record("EAST", 1, diverged=True))
    run_folder(runs, record("EAST", 2) | {"status": "interrupted", "accuracy": {}})
    code, out, err = call("leaderboard", "mine.gin", "--from", "runs")
    assert (code, err) == (0, "")
    assert "runs collected: 2" in out and "not over yet: 1" in out
    name = folder.name
    taken = Path(f"leaderboard/records/{name}.json")
    assert taken.read_bytes() == (folder / "record.json").read_bytes()
    curves = json.loads(Path(f"leaderboard/curves/{name}.json").read_text())
    assert curves["epoch"] == [1, 2, 3] and curves["live_path_share"] == [None] * 3
    assert curves["grad_norm_live"] == [0.333333] * 3
    assert curves["layers_positive"] == {"act1": 0.3, "act2": 0.25}
    assert "95.00 ‡ 1 of 2" in Path("leaderboard/mine.md").read_text()
    before = contents(lab / "leaderboard")
    code, out, _ = call("leaderboard", "mine.gin", "--from", "runs")
    assert "runs collected: 0, there already: 2" in out
    assert contents(lab / "leaderboard") == before


def test_a_folder_that_cannot_be_made_is_said_once(lab, call):
    run_folder(lab / "runs", record(seed=7))
    code, _, err = call("leaderboard", "mine.gin", "--from", "runs", "--out", "mine.gin")
    assert code == 2 and "--out mine.gin" in err and err.count("\n") == 1


def test_another_attempt_at_a_run_does_not_replace_it(lab, call):
    one = record("EAST", 0, 95.0)
    run_folder(lab / "a", one)
    call("leaderboard", "mine.gin", "--from", "a")
    other = record("EAST", 0, 99.0)
    other["provenance"]["attempt"] = "b" * 32
    run_folder(lab / "b", other)
    code, _, err = call("leaderboard", "mine.gin", "--from", "b")
    assert code == 1 and "another attempt" in err
    kept = records.read(Path(f"leaderboard/records/{name_of(one)}.json"))
    assert kept["accuracy"]["test_final"] == 95.0


def test_a_damaged_run_is_named_and_the_others_are_collected(lab, call):
    good = run_folder(lab / "runs", record("EAST", 0, 95.0))
    bad = run_folder(lab / "runs", record("EAST", 1, 95.0))
    (bad / "record.json").write_text("{")
    code, _, err = call("leaderboard", "mine.gin", "--from", "runs")
    assert code == 1 and str(bad.name) in err
    assert Path(f"leaderboard/records/{good.name}.json").is_file()
    assert not Path(f"leaderboard/records/{bad.name}.json").exists()


@pytest.mark.slow
def test_runs_of_an_mlflow_store_are_the_same_as_those_of_folders(lab, call):
    from dstbench.tracking.sync import sync

    folder = run_folder(lab / "runs", record("EAST", 0, 95.0))
    text = json.loads((folder / "record.json").read_text())
    text["provenance"]["ended"] = 2.0
    records.write(folder / "record.json", text)
    uri = f"sqlite:///{lab}/store.db"
    (outcome,) = sync([folder], uri)
    assert outcome.complete, outcome.line
    assert call("leaderboard", "mine.gin", "--from", "runs", "--out", "x")[0] == 0
    code, out, err = call("leaderboard", "mine.gin", "--from", uri, "--out", "y")
    assert (code, err) == (0, "") and "runs collected: 1," in out
    assert contents(lab / "x") == contents(lab / "y")


# --- what the repository holds --------------------------------------------------------------------


def test_the_suites_own_leaderboard_holds_true_records_only(call):
    folder = Path(__file__).parents[2] / "leaderboard"
    code, out, _ = call("validate", *map(str, sorted((folder / "records").glob("*.json"))))
    assert code == 0, out
