"""The MLflow store: which one, whether it answers, and opening it without a race.

Importing this file does not import MLflow, which takes seconds; `open_store` does.
"""

import http.client
import os
import re
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dstbench.errors import UserError
from dstbench.records.provenance import without_password
from dstbench.tracking.store_uri import OFF, _for_mlflow, database_of, resolve
from dstbench.utils.files import held

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "dstbench"

_CREATION_S = 120  # how long to wait while another process creates the database
_CHECK_S = 10  # for a store to say that it is there


@dataclass(frozen=True)
class Store:
    """An open store and the experiment in it that runs go to."""

    client: "MlflowClient"
    uri: str
    experiment_id: str

    @property
    def shown(self) -> str:
        """The store's address as it may be printed and kept."""
        return without_password(self.uri)

    def place_of(self, run_id: str) -> str:
        """Where a person finds a run: its page on a server, else its id and the store."""
        if self.uri.startswith("http"):
            return f"{self.shown.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"run {run_id} in {self.shown}"


def open_store(uri: str, experiment: str = EXPERIMENT) -> Store:
    """Open the store, creating the database and the experiment if they are not there yet.

    Processes that do so at the same moment take turns. Artifacts of a new experiment in an SQLite
    store go to the folder mlartifacts beside the database.

    Raises UserError for one that cannot be used, TimeoutError when another process does not get
    done with creating it, and whatever MLflow does.
    """
    probe(uri)
    _settle_mlflow()
    import mlflow.tracking  # noqa: F401  (takes seconds: nobody is to wait for it below)

    database = database_of(uri)
    if database is None:
        return _open(uri, experiment, None)
    database.parent.mkdir(parents=True, exist_ok=True)
    with held(database.with_name(f"{database.name}.lock"), _CREATION_S):
        return _open(uri, experiment, (database.parent / "mlartifacts").as_uri())


def probe(uri: str | None) -> str:
    """A line about the store, in seconds and without MLflow.

    A server must answer, whatever it says; an SQLite file must be readable, if it is there. Raises
    UserError when that is not so.
    """
    uri = resolve(uri)
    shown = without_password(uri)
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
    """What a server says about itself. Raises OSError when there is none."""
    address = re.sub("://[^/@]*@", "://", uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_CHECK_S):
            return "answers"
    except urllib.error.HTTPError as error:  # it may want a password, which MLflow has and we not
        return f"answers with {error.code}"


def reason(error: Exception) -> str:
    """What went wrong in one line, without a password that an address may hold."""
    name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    lines = str(error).splitlines() or [""]
    return without_password(f"{name}{lines[0]}"[:300])


def _open(uri: str, name: str, artifacts: str | None) -> Store:
    """Open the store and find the experiment, or create it with its artifacts in that place."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    address = _for_mlflow(uri)
    client = MlflowClient(address, address)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return Store(client, uri, client.create_experiment(name, artifacts))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:  # so it was not another process, on a server, that was quicker
                raise
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"the experiment {name!r} was deleted in this store. Restore it with `mlflow "
            f"experiments restore --experiment-id {experiment.experiment_id}`."
        )
    return Store(client, uri, experiment.experiment_id)


def _settle_mlflow() -> None:
    """Bound what MLflow may wait, and silence it. To be called before it is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    # A request that is repeated blindly can create a run twice; whoever mirrors asks first and
    # tries again later.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT", "60")
    # Its log repeats as pages of traceback what `reason` says in a line.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
