"""A database is whole or not there, whenever its creator is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from dstbench.errors import UserError
from dstbench.tracking.store import open_store

pytestmark = pytest.mark.slow  # MLflow creates stores

OPEN = "import sys; from dstbench.tracking.store import open_store; open_store(sys.argv[1])"


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


@pytest.mark.parametrize("after_s", [0.05, 0.4])
def test_kill_during_the_first_migrations_leaves_a_usable_store(tmp_path, after_s):
    path = tmp_path / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", OPEN, f"sqlite:///{path}"])
    while not any(tmp_path.glob(".mlflow.db.*.new")):
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = open_store(f"sqlite:///{path}")
    assert store.client.create_run(store.experiment_id).info.run_id
    assert not any(tmp_path.glob("*.new*"))


def test_two_processes_that_create_a_store_at_once_share_it(tmp_path):
    command = [sys.executable, "-c", OPEN, f"sqlite:///{tmp_path}/mlflow.db"]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert "experiments" in tables(tmp_path / "mlflow.db")


def test_database_that_others_left_half_made_is_recognised(tmp_path):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE registered_models (name VARCHAR(256))")
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR(256))")
        connection.commit()
    with pytest.raises(UserError, match="the creation of this database was interrupted"):
        open_store(f"sqlite:///{path}")
    assert os.path.exists(path)
