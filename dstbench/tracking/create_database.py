"""Creates MLflow's SQLite database whole, or not at all.

MLflow makes its tables by some fifty migrations, and a database of which some are missing is broken
for good. So they are made in a file beside, which then gets the database's name.
"""

import os
import uuid
from pathlib import Path

from dstbench.tracking.store_uri import address_for_mlflow, address_of


def create_database(path: Path) -> None:
    """Create the database, unless another process creates it meanwhile; MLflow is imported.

    path: of the file, which does not exist. Only who holds the store's lock may call this.

    Raises MLflow's errors and OSError, with nothing left behind.
    """
    from mlflow.tracking import MlflowClient

    for leftover in path.parent.glob(f".{path.name}.*.new*"):  # of a process that was killed
        leftover.unlink(missing_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        address = address_for_mlflow(address_of(new))
        MlflowClient(address, address).search_experiments(max_results=1)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        _give_name(new, path)
    finally:
        for leftover in path.parent.glob(f"{new.name}*"):
            leftover.unlink(missing_ok=True)


def _give_name(new: Path, path: Path) -> None:
    """Give a new database its name, unless there is one of this name."""
    try:
        os.link(new, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        pass
    except OSError:  # a disk without hard links
        if not path.exists():
            os.replace(new, path)


def is_half_made(error: Exception) -> bool:
    """Return whether an error of MLflow means that a database has some of its tables."""
    text = str(error).lower()
    return "already exists" in text and "table" in text
