"""Writes the folder of a made-up run, for tests of tracking and scheduling."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from dstbench.recording import record as records
from dstbench.recording.provenance import collect_provenance
from helpers.record_factory import accuracy_section, make_record

CONFIG = "import dstbench.methods.rigl\nRun.seed = 0\nrigl/Cosine.start = 0.5\nRun.name = 'a = b'\n"
STARTED = 1_700_000_000.25


class ExampleRun:
    """Writes the files of a run in `folder`; `epochs` and `status` advance the run."""

    def __init__(self, folder: Path, attempt: str | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        before = {"started": STARTED} | ({"attempt": attempt} if attempt else {})
        self.record = make_record(
            "RigL", seed=3, sparsity=0.9, status="running", dataset="digits", model="ResNet20",
            recipe="digits", protocol="strict", precision="fp32",
        ) | {
            "config": {"text": CONFIG, "sha256": "c0ffee"},
            "provenance": collect_provenance(
                command=["dstbench", "run"], device="cpu", threads=1, dataset_sha256="d161",
                sessions=1, before=before,
            ),
        }  # fmt: skip
        (folder / "run.gin").write_text(CONFIG)
        (folder / "checkpoint.0.pt").write_bytes(b"never mirrored")
        self.epochs(0)
        self.status("running")

    def epochs(self, count: int) -> None:
        """Write curves of `count` epochs."""
        lines = [
            {
                "epoch": epoch, "step": 10 * epoch, "time": STARTED + epoch, "val_loss": 1 / epoch,
                "train_loss": 2 / epoch, "sparsity": 0.9, "live_path_share": 1.0,
                "effective_sparsity": None, "why": "a text",
                "layers_live": {"conv1.weight": 7, "fc.weight": epoch},
            }
            for epoch in range(1, count + 1)
        ]  # fmt: skip
        partial = self.folder / "curves.partial"
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
        partial.rename(self.folder / "curves.jsonl")

    def status(self, status: str) -> None:
        """Write the record with this status; a finished one has results."""
        self.record["status"] = status
        if status == "finished":
            self.record["accuracy"] = accuracy_section(
                97.5, test_at_best_val=97.25, best_val=98.0, best_epoch=2, val_final=97.0
            )
            self.record["cost"] = {"macs": 123456, "layers": []}
            self.record["health"] = {"collapsed": False, "live_path_share": None}
            (self.folder / "network.pt").write_bytes(b"sparse weights")
        if status != "running":
            self.record["provenance"]["ended"] = STARTED + 1000
        records.write(self.folder / "record.json", self.record)


EPOCH_ROWS = 5  # metrics of an epoch above: two losses, two of health, epoch
RESULT_ROWS = 8  # numbers of a finished record: sparsity 2, accuracy 4, macs, collapsed


def rows_in(database: Path, run_id: str) -> int:
    """Return the number of a run's metric rows in an SQLite store, without using MLflow."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        query = "SELECT count(*) FROM metrics WHERE run_uuid = ?"
        return connection.execute(query, (run_id,)).fetchone()[0]


def runs_in(database: Path) -> list[str]:
    """Return the ids of the runs in an SQLite store."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT run_uuid FROM runs")]
