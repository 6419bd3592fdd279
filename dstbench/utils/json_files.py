"""The JSON files of a folder, which is not taken for an empty one because it cannot be read."""

import os
from pathlib import Path

from dstbench.errors import UserError


def json_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder, which need not exist, in the order of their names.

    Raises UserError for a folder that cannot be read, which `Path.glob` takes for an empty one.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        if isinstance(error, NotADirectoryError) and not folder.exists():
            return []  # what would contain it is a file
        raise UserError(f"{folder}: cannot be read ({error.strerror}).") from None
    return [folder / name for name in names if name.endswith(".json")]
