"""Folders of made-up records and runs, and a grid for them."""

import hashlib
import json
from pathlib import Path

from dstbench.boards import grid_runs
from dstbench.config import grid
from dstbench.recording import record as records
from helpers.record_factory import name_of

GRID = """\
Table.title = 'A | table'
Table.sections = [@Section()]
Section.methods = ['set', 'rigl', 'east']
Section.recipes = ['cifar10_resnet34']
Section.sparsities = [0.99, 0.999]
Section.protocol = 'paper'
"""


def write_records(out: Path, *made, name=None) -> list[str]:
    """Write records into a leaderboard's folder; return their names."""
    folder = out / "records"
    folder.mkdir(parents=True, exist_ok=True)
    names = [name or name_of(record) for record in made]
    for record, stem in zip(made, names, strict=True):
        records.write(folder / f"{stem}.json", record)
    return names


def _with_epochs(record, epochs):
    """Return the record of a run of so many epochs."""
    text = record["config"]["text"].replace("Run.epochs = 250", f"Run.epochs = {epochs}")
    config = {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    accuracy = record["accuracy"]
    if "best_epoch" in accuracy:
        accuracy = accuracy | {"best_epoch": min(accuracy["best_epoch"], epochs)}
    return record | {"config": config, "accuracy": accuracy}


def write_run_folder(runs: Path, record, epochs=2) -> Path:
    """Write the folder of a run with this record and some curves; return its path."""
    record = _with_epochs(record, epochs)
    folder = runs / name_of(record)
    folder.mkdir(parents=True)
    records.write(folder / "record.json", record)
    lines = [
        {
            "epoch": epoch, "step": epoch, "time": 1.0, "sparsity": 0.99, "grad_norm_live": 1 / 3,
            "live_path_share": None, "positive_preactivations": 0.5,
            "val_accuracy": record["accuracy"].get("val_final", 50.0),
            "layers_positive": {"act1": 0.1 * epoch, "act2": 0.25},
            "layers_live": {"conv.weight": 9},
        }
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def list_runs(out: Path, grid_file: Path, *more) -> None:
    """Write the list of a grid's runs as if it were those of all records in `out`.

    more: further records, which need not be there.
    """
    found = [record["config"]["sha256"] for record in more]
    for path in (out / "records").glob("*.json"):
        try:
            found.append(json.loads(path.read_bytes())["config"]["sha256"])
        except (ValueError, LookupError, TypeError):
            continue
    grid_runs.write(out, grid.read(grid_file), found)
