"""The MLflow store: opens it without a race, and checks that it can be used.

Importing this file does not import MLflow, which takes seconds; `open_store` does.
"""

import http.client
import logging
import os
import re
import sqlite3
import ssl
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dstbench.errors import UserError
from dstbench.tracking.create_database import create_database, is_half_made
from dstbench.tracking.store_uri import OFF, address_for_mlflow, database_of, resolve
from dstbench.utils.files import held
from dstbench.utils.passwords import without_password
from dstbench.utils.printable import printable

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

_EXPERIMENT = "dstbench"  # unless MLFLOW_EXPERIMENT_NAME names another
_DRIVERS = {  # module that SQLAlchemy misses → package that has it
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "MySQLdb": "mysqlclient",
    "pymysql": "pymysql",
    "pyodbc": "pyodbc",
    "pymssql": "pymssql",
}

_CREATION_S = 120  # how long to wait while another process creates the database
_CHECK_S = 5  # how long a check waits for an answer


@dataclass(frozen=True)
class Store:
    """An open store.

    client: MLflow's client of it.
    uri: its address.
    experiment_id: the experiment that gets the runs.
    """

    client: "MlflowClient"
    uri: str
    experiment_id: str

    @property
    def shown(self) -> str:
        """The store's address without a password."""
        return printable(without_password(self.uri))

    def place_of(self, run_id: str) -> str:
        """Return where a person finds a run: its page on a server, else its id and the store."""
        if self.uri.startswith("http"):
            return f"{self.shown.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"run {run_id} in {self.shown}"


def experiment_name() -> str:
    """Return the name of the experiment that gets the runs; it may be a path, as on Databricks."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT


def open_store(uri: str) -> Store:
    """Return the store, opened; the database and the experiment are created if needed.

    uri: address of the store, as `resolve` returns it.

    Processes that create the same store take turns. Artifacts of a new experiment in an SQLite
    store go to the folder mlartifacts beside the database.

    Raises UserError for a store that cannot be used, TimeoutError when another process does not
    finish creating it, and MLflow's errors.
    """
    probe(uri)
    address = address_for_mlflow(uri)
    _import_mlflow()  # takes seconds, so not while the lock is held
    database = database_of(uri)
    if database is None:
        return _open(uri, address, experiment_name(), None)
    database.parent.mkdir(parents=True, exist_ok=True)
    with held(database.with_name(f"{database.name}.lock"), _CREATION_S):
        if not database.exists():
            create_database(database)
        return _open(uri, address, experiment_name(), (database.parent / "mlartifacts").as_uri())


def examine(uri: str) -> None:
    """Open the store as a run would, but create no experiment.

    uri: address of the store, as `resolve` returns it.

    Raises what `open_store` raises.
    """
    address = address_for_mlflow(uri)
    _import_mlflow()
    from mlflow.tracking import MlflowClient

    _refuse_deleted(MlflowClient(address, address).get_experiment_by_name(experiment_name()))


def probe(uri: str | None) -> str:
    """Return a line about the store; takes seconds at most, and does not import MLflow.

    Raises UserError when a server does not answer (any answer is accepted), or an SQLite file
    exists and cannot be read.
    """
    uri = resolve(uri)
    shown = printable(without_password(uri))
    database = database_of(uri)
    if uri == OFF:
        return "tracking is off"
    try:
        if uri.startswith(("http://", "https://")):
            return f"{shown} {_answer(uri)}"
        if database is None:
            return f"{shown} (not checked)"
        if not database.exists():
            return f"{shown} does not exist yet; the first run creates it"
        with closing(sqlite3.connect(database, timeout=_CHECK_S)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return shown
    except (OSError, ValueError, http.client.HTTPException, sqlite3.Error) as error:
        raise UserError(f"{shown} cannot be used: {reason(error)}") from None


def _answer(uri: str) -> str:
    """Return in words that a server answers. Raises OSError when it does not."""
    address = re.sub("://[^/]*@", "://", uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_CHECK_S):
            return "answers"
    except urllib.error.HTTPError as error:  # such as 401: only MLflow knows the password
        return f"answers with {error.code}"
    except urllib.error.URLError as error:
        if isinstance(
            error.reason, ssl.SSLError
        ):  # MLflow has settings of its own for certificates
            return "answers, with a certificate that MLflow checks"
        raise


def reason(error: Exception) -> str:
    """Return an error as one line, without passwords of addresses."""
    if isinstance(error, ModuleNotFoundError) and error.name in _DRIVERS:
        return f"the driver {error.name} is missing: pip install {_DRIVERS[error.name]}"
    name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    lines = str(error).splitlines() or [""]
    return printable(without_password(f"{name}{lines[0]}"[:300]))


def _open(uri: str, address: str, name: str, artifacts: str | None) -> Store:
    """Return the store with its experiment, which is created if needed.

    address: of the store, for MLflow.
    artifacts: where a new experiment keeps its artifacts, None for the store's default.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(address, address)
        experiment = client.get_experiment_by_name(name)
    except Exception as error:
        if is_half_made(error):
            raise UserError(
                f"{printable(without_password(uri))}: the creation of this database was "
                "interrupted, so it has some of its tables. Move it away if it is new, or restore "
                "a copy; the runs' folders have everything, and `dstbench sync` sends it again."
            ) from None
        raise
    if experiment is None:
        try:
            return Store(client, uri, client.create_experiment(name, artifacts))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:  # so no other process created it meanwhile
                raise
    _refuse_deleted(experiment)
    return Store(client, uri, experiment.experiment_id)


def _refuse_deleted(experiment: "Experiment | None") -> None:
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise UserError(
            f"the experiment {experiment.name!r} was deleted in this store. Restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`."
        )


def _import_mlflow() -> None:
    """Import MLflow with limited waiting times and output."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    # A blindly repeated request can create a run twice; a later pass asks the store first.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT", "60")
    # Its log repeats as a traceback what `reason` gives in one line.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    import mlflow.tracking  # noqa: F401  (which sets the levels of loggers)

    logging.getLogger("alembic").setLevel(logging.WARNING)  # else a line a step of a new database
