"""The live mirror and `sync` with real processes: killed runs, locked files, a stopped server."""

import importlib.util
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from helpers.example_run import EPOCH_ROWS, RESULT_ROWS, ExampleRun, rows_in
from helpers.waiting import PATIENCE_S, wait_for

from dstbench.config.shipped_files import PACKAGE
from dstbench.errors import UserError
from dstbench.recording.file_names import MIRROR_LOG
from dstbench.tracking.live_mirror import Mirror
from dstbench.tracking.store_check import check
from dstbench.tracking.sync import sync


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Return the store, the runs and the messages of four runs started at once without a store."""
    folder = tmp_path_factory.mktemp("four runs")
    database = folder / "not yet" / "mlflow.db"
    runs = [ExampleRun(folder / f"run{i}") for i in range(4)]
    mirrors = [Mirror(run.folder, f"sqlite:///{database}") for run in runs]
    for run in runs:
        run.epochs(2)
        run.status("finished")
    return database, runs, [mirror.finish(PATIENCE_S) for mirror in mirrors]


@pytest.fixture
def database(four):
    return four[0]


@pytest.fixture
def run(tmp_path):
    return ExampleRun(tmp_path / "run")


def id_of(database, run):
    """Return the store's id of a run, read without MLflow; None while it has none."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        query = "SELECT run_uuid FROM tags WHERE key = 'dstbench.attempt' AND value = ?"
        found = connection.execute(query, (run.record["provenance"]["attempt"],)).fetchone()
    return found[0] if found else None


def rows_of(database, run):
    return rows_in(database, id_of(database, run) or "")


@pytest.mark.slow
def test_mirror_of_four_runs_at_once_creates_one_store(four):
    database, runs, lines = four
    assert lines == [f"run {id_of(database, run)} in sqlite:///{database}" for run in runs]
    assert len({id_of(database, run) for run in runs}) == 4
    assert [rows_of(database, run) for run in runs] == [2 * EPOCH_ROWS + RESULT_ROWS] * 4
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        names = connection.execute("SELECT name FROM experiments ORDER BY name").fetchall()
    assert names == [("Default",), ("dstbench",)]


@pytest.mark.slow
def test_mirror_follows_a_resumed_run_and_ignores_signals(run, database):
    run.status("interrupted")  # by an earlier session
    mirror = Mirror(run.folder, f"sqlite:///{database}")
    wait_for(lambda: id_of(database, run))
    run.status("running")
    assert os.getpgid(mirror.process.pid) != os.getpgid(0)  # so Ctrl-C does not reach it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        mirror.process.send_signal(number)
    run.epochs(3)
    run.status("finished")
    assert mirror.finish(PATIENCE_S) == f"run {id_of(database, run)} in sqlite:///{database}"
    assert rows_of(database, run) == 3 * EPOCH_ROWS + RESULT_ROWS


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, with the files of a process")
def test_mirror_of_a_killed_run_sends_its_epochs_and_exits(run, database):
    run.epochs(2)
    code = (
        "import pathlib, time; from dstbench.tracking.live_mirror import Mirror\n"
        f"mirror = Mirror(pathlib.Path({str(run.folder)!r}), 'sqlite:///{database}')\n"
        "print(mirror.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as training:
        pid = int(training.stdout.readline())
        training.kill()
    wait_for(lambda: rows_of(database, run) == 2 * EPOCH_ROWS)
    log = run.folder / MIRROR_LOG
    wait_for(lambda: not is_open(pid, log))


def is_open(pid, path):
    """Whether a process still has the file open; a zombie, which nobody waits for, has none."""
    try:
        return any(path.samefile(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.slow
def test_mirror_finish_does_not_wait_for_a_locked_store(run, database, monkeypatch):
    uri = f"sqlite:///{database}"
    run.epochs(2)
    run.status("finished")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        mirror = Mirror(run.folder, uri)
        began = time.monotonic()
        line = mirror.finish(timeout_s=1)
        assert time.monotonic() - began < 10
        monkeypatch.setattr("dstbench.tracking.store._CHECK_S", 0.1)
        (outcome,) = sync([run.folder], uri)
        assert not check(uri)[0]
    command = f"dstbench sync {run.folder} --tracking {shlex.quote(uri)}"
    assert line.startswith(f"not mirrored yet; to send it later: {command} ")
    assert "database is locked" in outcome.line and not outcome.complete
    assert check(uri) == (True, uri)
    assert mirror.process.wait(PATIENCE_S) == 0  # it continued alone
    assert rows_of(database, run) == 2 * EPOCH_ROWS + RESULT_ROWS


@contextmanager
def server(database, port):
    """Run a real tracking server in the block."""
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--artifacts-destination", str(database.parent / "served")),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (database.parent / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: process.poll() is None and answers(port))
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_S)
        wait_for(lambda: not answers(port))


def answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_sync_after_a_server_outage_sends_the_rest(run, tmp_path, four):
    database = tmp_path / "mlflow.db"
    shutil.copy(four[0], database)
    with closing(sqlite3.connect(database)) as connection, connection:
        # The server creates the experiment, so that artifacts are sent through it.
        connection.execute("UPDATE experiments SET name = 'another' WHERE name = 'dstbench'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    with server(database, port):
        mirror = Mirror(run.folder, uri)
        run.epochs(3)
        wait_for(lambda: rows_of(database, run) == 3 * EPOCH_ROWS)
    run.epochs(5)
    run.status("finished")
    began = time.monotonic()
    assert f"dstbench sync {run.folder} --tracking {uri}" in mirror.finish(PATIENCE_S)
    assert time.monotonic() - began < 20
    assert rows_of(database, run) == 3 * EPOCH_ROWS
    assert "cannot be used" in (run.folder / "mirror.log").read_text()
    (outcome,) = sync([run.folder], uri)
    assert not outcome.complete

    with server(database, port):
        (first,) = sync([run.folder], uri)
        (second,) = sync([run.folder], uri)
    page = f"{uri}/#/experiments/2/runs/{id_of(database, run)}"
    assert (first.complete, first.line) == (True, f"sent 2 epochs and 4 files; {page}")
    assert (second.complete, second.line) == (True, f"nothing was missing; {page}")
    assert rows_of(database, run) == 5 * EPOCH_ROWS + RESULT_ROWS
    served = {path.name for path in (tmp_path / "served").rglob("*") if path.is_file()}
    assert served == {"record.json", "run.gin", "curves.jsonl", "network.pt"}


@pytest.mark.slow
def test_sync_continues_after_a_failure(tmp_path, database):
    first, broken, last = (ExampleRun(tmp_path / name) for name in ("first", "broken", "last"))
    (broken.folder / "record.json").write_text("{")
    first.epochs(2)
    folders = [first.folder, broken.folder, tmp_path / "gone", last.folder]
    outcomes = list(sync(folders, f"sqlite:///{database}"))
    assert [outcome.folder for outcome in outcomes] == folders
    assert [outcome.complete for outcome in outcomes] == [True, False, False, True]
    assert outcomes[0].line.startswith("sent 2 epochs and 0 files; run ")
    assert "not JSON" in outcomes[1].line


def test_mirror_is_off_without_a_store_or_mlflow(run, monkeypatch):
    assert Mirror(run.folder, "off").finish(1) == "off"
    with pytest.raises(UserError, match="off"):
        sync([run.folder], "off")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert Mirror(run.folder, None).finish(1) == "off (MLflow is not installed)"
    with pytest.raises(UserError, match="pip install mlflow"):
        sync([run.folder], None)


@pytest.mark.slow
def test_mirror_does_not_import_files_of_the_working_folder(run, database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("random", "logging", "runpy", "dstbench", "mlflow"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('imported the wrong {name}')")
    run.status("finished")
    line = Mirror(run.folder, f"sqlite:///{database}").finish(PATIENCE_S)
    assert line == f"run {id_of(database, run)} in sqlite:///{database}"


def test_mirror_of_a_checkout_that_is_not_installed_runs_its_own_code(run, tmp_path):
    root = tmp_path / "checkout"
    shutil.copytree(PACKAGE, root / "dstbench", ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "dstbench" / "tracking" / "mirror_process.py").open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write(f"print('the copy')\n{text}")
    code = (
        "import pathlib; from dstbench.tracking.live_mirror import Mirror; "
        f"Mirror(pathlib.Path({str(run.folder)!r}), 'http://127.0.0.1:9').finish({PATIENCE_S})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
    assert (run.folder / "mirror.log").read_text().startswith("the copy\n")


def test_mirror_with_an_address_of_no_store_reports_it(run):
    line = Mirror(run.folder, "ftp://host").finish(1)
    assert line.startswith("not mirrored: 'ftp://host' is not a store")
    fine, message = check("ftp://host")
    assert not fine and "is not a store" in message


def test_mirror_that_cannot_be_started_reports_it(tmp_path):
    line = Mirror(tmp_path / "gone", None).finish(1)
    assert "cannot be started: No such file" in line
    assert line.startswith(
        f"not mirrored yet; to send it later: dstbench sync {tmp_path / 'gone'} ("
    )


@pytest.mark.slow
def test_mirror_keeps_passwords_out_of_output_and_arguments(run):
    mirror = Mirror(run.folder, "http://me:secret@127.0.0.1:9")
    assert "secret" not in " ".join(mirror.process.args)
    assert "secret" not in mirror.finish(PATIENCE_S)
    assert "secret" not in (run.folder / "mirror.log").read_text()


def test_live_mirror_imports_nothing_heavy():
    heavy = ("mlflow", "torch", "numpy")
    code = (
        "import dstbench.tracking.live_mirror, sys; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
