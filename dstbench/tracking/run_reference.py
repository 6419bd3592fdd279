"""mlflow.json of a run folder: which MLflow run mirrors it, as far as the last pass knows."""

import json
from pathlib import Path
from typing import TypedDict

from dstbench.recording.file_names import MLFLOW_RUN
from dstbench.utils.files import write_atomic
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8


class RunReference(TypedDict):
    """The content of the file.

    uri: the store's address, without a password.
    experiment_id, run_id: MLflow's ids.
    attempt: the run's attempt, from its record.
    place: where a person finds the run.
    """

    uri: str
    experiment_id: str
    attempt: str
    run_id: str
    place: str


def read(folder: Path) -> RunReference | None:
    """Return the reference of a run folder, None if there is no valid one."""
    try:
        content = parse_json((folder / MLFLOW_RUN).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.keys() != RunReference.__annotations__.keys():
        return None
    reference: RunReference = content  # type: ignore[assignment]  # its keys were compared
    return reference


def write(folder: Path, reference: RunReference) -> None:
    """Write the reference of a run folder."""
    write_atomic(folder / MLFLOW_RUN, utf8(json.dumps(reference, indent=1)))
