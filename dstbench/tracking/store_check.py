"""Whether a store can be used: MLflow opens it in a child process, which has limited time.

    python -m dstbench.tracking.store_check        (the store: $MLFLOW_TRACKING_URI)

MLflow repeats requests to a database that does not answer, for minutes; a child can be ended.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dstbench.errors import UserError
from dstbench.tracking.store import examine, probe, reason
from dstbench.tracking.store_uri import OFF, database_of, resolve
from dstbench.utils.passwords import without_password
from dstbench.utils.printable import printable
from dstbench.utils.processes import environment, python

_OPEN_S = 45  # of which importing MLflow takes 5 on an idle machine
_REQUEST_S = 5  # how long MLflow waits for a server that answered before
_LATER = "Runs work without it; `dstbench sync` sends them later."


def check(uri: str | None) -> tuple[bool, str]:
    """Return whether the store can be used, and a line about it.

    uri: an MLflow store, None for the default one. A database that does not exist yet is not
        created; MLflow then opens a new one in a temporary folder.
    """
    try:
        uri = resolve(uri)
    except UserError as error:  # not an address of a store
        return False, error.message
    if uri == OFF:
        return True, probe(uri)
    if importlib.util.find_spec("mlflow") is None:
        return False, f"MLflow is not installed: pip install mlflow. {_LATER}"
    try:
        line = probe(uri)
    except UserError as error:
        return False, f"{error.message} {_LATER}"
    if wrong := _opened_by_child(uri):
        return False, f"{printable(without_password(uri))} cannot be used: {wrong} {_LATER}"
    return True, line


def _opened_by_child(uri: str) -> str | None:
    """Return what is wrong with the store, None if MLflow can open it."""
    more = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_REQUEST_S)}
    try:
        done = subprocess.run(
            python("dstbench.tracking.store_check"),
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_OPEN_S,
        )
    except subprocess.TimeoutExpired:
        return f"MLflow could not open it within {_OPEN_S} s."
    if done.returncode == 0:
        return None
    text = (done.stdout or done.stderr).decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else f"MLflow ended with exit code {done.returncode}."


def main() -> None:
    uri = resolve(None)
    database = database_of(uri)
    try:
        if database is None or database.exists():
            examine(uri)
        else:
            _refuse_unwritable(database)
            with tempfile.TemporaryDirectory() as folder:
                examine(f"sqlite:///{folder}/mlflow.db")
    except Exception as error:
        print(reason(error))
        sys.exit(1)


def _refuse_unwritable(database: Path) -> None:
    """Raise UserError when a run could not create the database."""
    nearest = next(folder for folder in database.parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise UserError(f"no file can be made in {nearest}.")


if __name__ == "__main__":
    main()
