"""A run directory as a run leaves it, for tests of what happens to it afterwards."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from dstbench.records import record as records
from dstbench.records.provenance import collect_provenance

CONFIG = "import dstbench.methods.rigl\nRun.seed = 0\nrigl/Cosine.start = 0.5\nRun.name = 'a = b'\n"
STARTED = 1_700_000_000.25


class ExampleRun:
    """Writes the files of a run in `folder`, with as many epochs as it is told."""

    def __init__(self, folder: Path, attempt: str | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        before = {"started": STARTED} | ({"attempt": attempt} if attempt else {})
        self.record = records.new(
            method="RigL", dataset="digits", model="ResNet20", recipe="digits", protocol="strict",
            precision="fp32", seed=3, sparsity={"asked": 0.9, "measured": 0.9, "effective": None},
            config={"text": CONFIG, "sha256": "c0ffee"},
            provenance=collect_provenance(
                command=["dstbench", "run"], device="cpu", threads=1, dataset_sha256="d161",
                sessions=1, before=before,
            ),
        )  # fmt: skip
        (folder / "run.gin").write_text(CONFIG)
        (folder / "checkpoint.0.pt").write_bytes(b"never mirrored")
        self.epochs(0)
        self.status("running")

    def epochs(self, count: int) -> None:
        lines = [
            {
                "epoch": epoch, "step": 10 * epoch, "time": STARTED + epoch, "val_loss": 1 / epoch,
                "odd name (%)": 0.1 * epoch, "effective_sparsity": None, "why": "a text",
                "layers_live": {"conv1.weight": 7, "fc.weight": epoch},
            }
            for epoch in range(1, count + 1)
        ]  # fmt: skip
        partial = self.folder / "curves.partial"
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
        partial.rename(self.folder / "curves.jsonl")

    def status(self, status: str) -> None:
        self.record["status"] = status
        if status == "finished":
            self.record["accuracy"] = {
                "test_final": 97.5, "test_at_best_val": 97.25, "best_val": 98.0, "best_epoch": 2,
                "val_final": 97.0, "shown": "test_final", "selected_on_test": False,
            }  # fmt: skip
            self.record["cost"] = {"macs": 123456, "layers": {"conv1.weight": 7}}
            self.record["health"] = {"collapsed": False, "live_path_share": None}
            (self.folder / "network.pt").write_bytes(b"sparse weights")
        if status != "running":
            self.record["provenance"]["ended"] = STARTED + 1000
        records.write(self.folder / "record.json", self.record)


EPOCH_ROWS = 6  # metrics of an epoch above: step, val_loss, one odd, two layers, epoch
RESULT_ROWS = 10  # numbers of a finished record: sparsity 2, accuracy 5 and a flag, macs, collapsed


def rows_in(database: Path, run_id: str) -> int:
    """Metric rows that an SQLite store holds of a run, counted past MLflow."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        query = "SELECT count(*) FROM metrics WHERE run_uuid = ?"
        return connection.execute(query, (run_id,)).fetchone()[0]


def runs_in(database: Path) -> list[str]:
    """Ids of the runs that an SQLite store holds."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT run_uuid FROM runs")]
