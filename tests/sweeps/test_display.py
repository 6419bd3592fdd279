"""What a sweep prints of a finished run: test accuracy; in a search, validation accuracy."""

import io

import pytest
from helpers.planned_runs import run_of
from helpers.record_factory import make_record
from rich.console import Console

from dstbench.data.protocols import validation_accuracy
from dstbench.recording import record as records
from dstbench.sweeps.display import SweepDisplay, reported_accuracy


@pytest.mark.parametrize(
    "accuracy, shown", [(reported_accuracy, "91.11 %"), (validation_accuracy, "80.50 %")]
)
def test_finished_run_is_printed_with_one_accuracy(tmp_path, accuracy, shown):
    record = make_record("RigL", 0, 91.11, protocol="strict")
    record["accuracy"] |= {"val_final": 80.5, "best_val": 81.5}
    run = run_of(tmp_path, "mine", sha256=record["config"]["sha256"])
    run.folder.mkdir()
    records.write(run.folder / "record.json", record)
    text = io.StringIO()
    SweepDisplay(1, 0, Console(file=text), accuracy).done(run, elsewhere=True)
    assert f"  {shown}  by another process" in text.getvalue()
    assert ("91.11" in text.getvalue()) == (accuracy is reported_accuracy)
