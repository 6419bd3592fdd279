"""Addresses of MLflow stores: which one is meant, and whether it is one."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dstbench.errors import UserError
from dstbench.records.provenance import without_password

if TYPE_CHECKING:
    pass


OFF = "off"


_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)(?P<query>\?.*)?")


_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks",
            "databricks-uc")  # fmt: skip


def resolve(uri: str | None) -> str:
    """The store meant by `uri`: None is $MLFLOW_TRACKING_URI, or mlflow.db in this folder.

    The path in an SQLite URI is made absolute, so that the store stays the same from elsewhere;
    `%`, `?` and `#` in a folder's name are written %25, %3F and %23 there.

    Raises UserError for what is no address of a store that MLflow knows.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_quoted(Path('mlflow.db'))}"
    if uri.lower() == OFF:
        return OFF
    _refuse_unknown(uri)
    if (database := database_of(uri)) is None:
        return uri
    return f"sqlite:///{_quoted(database)}{_query(uri)}"


def database_of(uri: str) -> Path | None:
    """The absolute path of an SQLite store's file; None for every other store."""
    match = _SQLITE.fullmatch(uri)
    return Path(unquote(match["path"])).absolute() if match else None


def _quoted(path: Path) -> str:
    return re.sub("[%?#]", lambda sign: f"%{ord(sign[0]):02X}", str(path))


def _query(uri: str) -> str:
    match = _SQLITE.fullmatch(uri)
    return (match["query"] or "") if match else ""


def _refuse_unknown(uri: str) -> None:
    """Raise UserError unless MLflow, or a package that extends it, has a store of that kind."""
    scheme, colon, _ = uri.partition(":")
    kind = scheme.partition("+")[0]
    brought = {point.name for point in entry_points(group="mlflow.tracking_store")}
    known = kind in {*_SCHEMES, *brought} and (colon or kind == "databricks")
    if known and (kind != "sqlite" or _SQLITE.fullmatch(uri)):
        return
    raise UserError(
        f"{without_password(uri)!r} is not a store that runs can be tracked in. Give off, "
        "sqlite:///FILE.db (two more slashes before an absolute path), http://HOST:PORT, or an "
        f"address that begins with {', '.join(_SCHEMES[3:])}. MLflow's own folders of files "
        "(file:, mlruns) are not supported."
    )


def _for_mlflow(uri: str) -> str:
    """The address as MLflow takes it: of an SQLite file, quoted as its SQLAlchemy unquotes it."""
    database = database_of(uri)
    if database is None or _quoted(database) == str(database):
        return uri
    from sqlalchemy import URL, make_url

    # With the driver named, MLflow does not make a folder of the quoted name beside the real one.
    text = URL.create("sqlite+pysqlite", database=str(database)).render_as_string()
    if make_url(text).database != str(database):
        raise UserError(
            f"{database}: this version of SQLAlchemy opens no database below a folder with %, ? "
            "or # in its name. Update it, or choose another store with --tracking."
        )
    return text + _query(uri)
