"""Addresses of MLflow stores: the default one, their validation, and SQLite paths."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

from dstbench.errors import UserError
from dstbench.utils.passwords import without_password
from dstbench.utils.printable import printable

OFF = "off"

_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)(?P<query>\?.*)?")
_DATABASES = ("postgresql", "mysql", "mssql", "databricks", "databricks-uc")
_SCHEMES = ("http", "https", "sqlite", *_DATABASES)


def resolve(uri: str | None) -> str:
    """Return the address of a store, or 'off'.

    uri: an address; None for $MLFLOW_TRACKING_URI, or mlflow.db in this folder.

    The path of an SQLite address is made absolute, so that other folders can use it; `%`, `?` and
    `#` in folder names are written %25, %3F and %23.

    Raises UserError for an address that MLflow does not support.
    """
    if not isinstance(uri, str | None):
        raise UserError(f"tracking = {uri!r}: expected 'off', the address of a store, or None.")
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or address_of(Path("mlflow.db"))
    if uri.lower() == OFF:
        return OFF
    _refuse_unknown(uri)
    if (database := database_of(uri)) is None:
        return uri
    return address_of(database) + _query(uri)


def database_of(uri: str) -> Path | None:
    """Return the absolute path of an SQLite store's file, None for any other store."""
    match = _SQLITE.fullmatch(uri)
    return Path(unquote(match["path"])).absolute() if match else None


def address_of(database: Path) -> str:
    """Return the address of an SQLite file."""
    return f"sqlite:///{_quoted(database)}"


def _quoted(path: Path) -> str:
    return re.sub("[%?#]", lambda sign: f"%{ord(sign[0]):02X}", str(path))


def _query(uri: str) -> str:
    match = _SQLITE.fullmatch(uri)
    return (match["query"] or "") if match else ""


def _refuse_unknown(uri: str) -> None:
    """Raise UserError unless MLflow, or a plugin of it, supports the address."""
    scheme, colon, _ = uri.partition(":")
    kind = scheme.partition("+")[0]
    plugins = {point.name for point in entry_points(group="mlflow.tracking_store")}
    known = kind in {*_SCHEMES, *plugins} and (colon or kind == "databricks")
    if known and (kind != "sqlite" or _SQLITE.fullmatch(uri)):
        return
    raise UserError(
        f"{without_password(uri)!r} is not a store. Give off, sqlite:///FILE.db (four slashes "
        "before an absolute path), http://HOST:PORT, or an address that begins with "
        f" {', '.join(_DATABASES)}. MLflow's own folders of files "
        "(file:, mlruns) are not supported."
    )


def _is_utf8(path: Path) -> bool:
    """Return whether the name is UTF-8 on disk, and known as such in this locale."""
    try:
        return os.fsencode(path) == str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False


def address_for_mlflow(uri: str) -> str:
    """Return the address for MLflow; an SQLite path is quoted as its SQLAlchemy unquotes it.

    Raises UserError for an SQLite path that MLflow cannot use.
    """
    database = database_of(uri)
    if database is not None and not _is_utf8(database):
        raise UserError(
            f"{printable(str(database))}: the folder's name is not UTF-8, so MLflow cannot use a "
            "database there. Choose another store with --tracking."
        )
    if database is None or _quoted(database) == str(database):
        return uri
    from sqlalchemy import URL, make_url

    # With a named driver, MLflow creates no folder of the quoted name beside the real one.
    text = URL.create("sqlite+pysqlite", database=str(database)).render_as_string()
    if make_url(text).database != str(database):
        raise UserError(
            f"{database}: this version of SQLAlchemy cannot open a database below a folder with %, "
            "? or # in its name. Update it, or choose another store with --tracking."
        )
    return text + _query(uri)
