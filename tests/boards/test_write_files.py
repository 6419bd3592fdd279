"""`dstbench leaderboard`: collects, renders and checks; a check writes nothing."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from helpers.lab import GRID, list_runs, write_records, write_run_folder
from helpers.record_factory import make_record

from dstbench.boards.collect_runs import collect_runs
from dstbench.recording import record as records


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.gin").write_text(GRID)
    write_records(
        Path("leaderboard"), *(make_record(m, s, 50.0 + s) for m in ("SET", "RigL") for s in (0, 1))
    )
    list_runs(Path("leaderboard"), Path("mine.gin"), *(make_record("EAST", s) for s in range(3)))
    return tmp_path


def contents(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_check_passes_after_rendering_and_writes_nothing(lab, call):
    code, out, err = call("leaderboard", "mine.gin")
    assert (code, err) == (0, "")
    before = contents(lab)
    assert {"leaderboard/mine.md", "leaderboard/README.md", "leaderboard/index.html"} <= {*before}
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 0 and "up to date" in out
    assert contents(lab) == before


def test_rendering_twice_changes_nothing(lab, call):
    call("leaderboard", "mine.gin")
    before = contents(lab)
    call("leaderboard", "mine.gin")
    assert contents(lab) == before


def test_table_of_another_call_is_named(lab, call):
    call("leaderboard", "mine.gin")
    Path("other.gin").write_text(GRID)
    code, out, _ = call("leaderboard", "other.gin")
    assert code == 0 and "leaderboard/mine.md is of another call" in out
    _, out, _ = call("leaderboard", "other.gin", "mine.gin")
    assert "another call" not in out


def test_check_names_stale_files(lab, call):
    call("leaderboard", "mine.gin")
    write_records(Path("leaderboard"), make_record("EAST", 0, 99.0))
    before = contents(lab)
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 1
    for name in ("mine.md", "README.md", "index.html"):
        assert f"leaderboard/{name}: does not match the records" in out
    assert "leaderboard/figures/" in out
    assert contents(lab) == before


def test_check_names_an_edited_table(lab, call):
    call("leaderboard", "mine.gin")
    table = Path("leaderboard/mine.md")
    table.write_text(table.read_text().replace("50.", "90."))
    code, out, _ = call("leaderboard", "mine.gin", "--check")
    assert code == 1 and "mine.md" in out and "README.md" not in out


def test_rejected_records_are_reported_and_the_others_rendered(lab, call):
    (name,) = write_records(Path("leaderboard"), make_record("EAST", 0, 99.0, live=5))
    code, _, err = call("leaderboard", "mine.gin")
    assert code == 1 and name in err and "off its budget" in err
    assert "99.00" not in Path("leaderboard/mine.md").read_text()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("mine.gin", "--check", "--from", "runs"), "--from writes files"),
        (("mine.gin", "--check", "--count-costs"), "--count-costs writes files"),
        (("mine.gin", "--check", "--out", "nowhere"), "no such folder"),
        (("mine.gin", "--from", "nowhere"), "no such folder"),
        (("mine.gin", "--from", "sqlite:///nowhere.db"), "no such database"),
        (("mine.gin", "other/mine.gin"), "the name mine is taken"),
        (("other/README.gin",), "the name README is taken"),
        (("absent.gin",), "no such grid"),
    ],
)
def test_wrong_arguments_exit_2_and_write_nothing(lab, call, argv, message):
    Path("other").mkdir()
    shutil.copy("mine.gin", "other")
    shutil.copy("mine.gin", "other/README.gin")
    before = contents(lab)
    code, _, err = call("leaderboard", *argv)
    assert code == 2 and message in err and "Traceback" not in err
    assert contents(lab) == before


# --- collecting -----------------------------------------------------------------------------------


@pytest.mark.slow  # draws figures
def test_collect_copies_finished_and_diverged_runs_with_curves(lab, call):
    runs = lab / "runs"
    folder = write_run_folder(runs / "deep", make_record("EAST", 0, 95.0), epochs=3)
    write_run_folder(runs, make_record("EAST", 1, status="diverged"), epochs=3)
    write_run_folder(runs, make_record("EAST", 2) | {"status": "interrupted", "accuracy": {}})
    code, out, err = call("leaderboard", "mine.gin", "--from", "runs")
    assert (code, err) == (0, "")
    assert "runs collected: 2" in out and "not finished: 1" in out
    name = folder.name
    taken = Path(f"leaderboard/records/{name}.json")
    assert taken.read_bytes() == (folder / "record.json").read_bytes()
    curves = json.loads(Path(f"leaderboard/curves/{name}.json").read_text())
    assert curves["epoch"] == [1, 2, 3] and curves["live_path_share"] == [None] * 3
    assert curves["grad_norm_live"] == [0.333333] * 3
    assert curves["layers_positive"] == {"act1": 0.3, "act2": 0.25}
    assert "95.00 ‡ 1 of 2" in Path("leaderboard/README.md").read_text()  # of 3 epochs: no grid's
    before = contents(lab / "leaderboard")
    code, out, _ = call("leaderboard", "mine.gin", "--from", "runs")
    assert "runs collected: 0, already present: 2" in out
    assert contents(lab / "leaderboard") == before


def test_collect_reports_an_unwritable_folder_once(lab, call):
    write_run_folder(lab / "runs", make_record(seed=7))
    code, _, err = call("leaderboard", "mine.gin", "--from", "runs", "--out", "mine.gin")
    assert code == 2 and "mine.gin/curves: cannot be made" in err and err.count("\n") == 1


@pytest.mark.slow  # draws figures
def test_collect_does_not_replace_another_attempt(lab, call):
    one = make_record("EAST", 0, 95.0)
    write_run_folder(lab / "a", one)
    call("leaderboard", "mine.gin", "--from", "a")
    other = make_record("EAST", 0, 99.0)
    other["provenance"]["attempt"] = "b" * 32
    write_run_folder(lab / "b", other)
    code, _, err = call("leaderboard", "mine.gin", "--from", "b")
    assert code == 1 and "another attempt" in err
    (path,) = Path("leaderboard/records").glob("east-*")
    kept = records.read(path)
    assert kept["accuracy"]["test_final"] == 95.0


@pytest.mark.slow  # draws figures
def test_collect_reports_a_damaged_run_and_takes_the_others(lab, call):
    good = write_run_folder(lab / "runs", make_record("EAST", 0, 95.0))
    bad = write_run_folder(lab / "runs", make_record("EAST", 1, 95.0))
    (bad / "record.json").write_text("{")
    code, _, err = call("leaderboard", "mine.gin", "--from", "runs")
    assert code == 1 and str(bad.name) in err
    assert Path(f"leaderboard/records/{good.name}.json").is_file()
    assert not Path(f"leaderboard/records/{bad.name}.json").exists()


@pytest.mark.slow
def test_collect_from_mlflow_equals_collect_from_folders(lab, call):
    from dstbench.tracking.store_uri import address_of
    from dstbench.tracking.sync import sync

    folder = write_run_folder(lab / "runs", make_record("EAST", 0, 95.0))
    text = json.loads((folder / "record.json").read_text())
    text["provenance"]["ended"] = 2.0
    records.write(folder / "record.json", text)
    (lab / "50% #1?").mkdir()  # signs that an address quotes
    uri = address_of(lab / "50% #1?" / "store.db")
    (outcome,) = sync([folder], uri)
    assert outcome.complete, outcome.line
    assert call("leaderboard", "mine.gin", "--from", "runs", "--out", "x")[0] == 0
    code, out, err = call("leaderboard", "mine.gin", "--from", uri, "--out", "y")
    assert (code, err) == (0, "") and "runs collected: 1," in out
    assert contents(lab / "x") == contents(lab / "y")


# --- the suite's leaderboard --------------------------------------------------------------------


def test_records_of_the_suites_leaderboard_are_valid(call):
    folder = Path(__file__).parents[2] / "leaderboard"
    paths = sorted((folder / "records").glob("*.json"))
    code, out, _ = call("validate", *map(str, paths)) if paths else (0, "", "")
    assert code == 0, out


def test_contradicting_runs_of_a_batch_are_all_refused(tmp_path):
    for folder, changes in (("a", {}), ("b", {"Run.batch_size": "64"})):
        write_run_folder(tmp_path / "runs" / folder, make_record(settings=changes))
    write_run_folder(tmp_path / "runs" / "c", make_record("SET"))
    collected = collect_runs([str(tmp_path / "runs")], tmp_path / "out")
    (complaint,) = collected.complaints
    assert "runs/a/" in complaint and "runs/b/" in complaint
    assert "differ in Run.batch_size" in complaint
    assert [name[:3] for name in collected.new] == ["set"]


def test_a_copied_run_of_a_batch_is_collected_once(tmp_path):
    for folder in ("a", "b"):
        write_run_folder(tmp_path / "runs" / folder, make_record())
    collected = collect_runs([str(tmp_path / "runs")], tmp_path / "out")
    assert (len(collected.new), collected.complaints) == (1, [])
