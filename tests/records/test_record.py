"""Records: floats survive exactly, damage is named, and nothing heavy is needed to read one."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.example_run import ExampleRun
from hypothesis import given
from hypothesis import strategies as st

from dstbench.errors import UserError
from dstbench.records import record as records


@pytest.fixture
def run(tmp_path):
    return ExampleRun(tmp_path / "run")


@pytest.fixture
def path(run):
    run.status("finished")
    return run.folder / "record.json"


def test_what_is_written_is_read(run):
    run.status("finished")
    assert records.read(run.folder / "record.json") == run.record


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_numbers_survive_exactly(tmp_path_factory, figures):
    run = ExampleRun(tmp_path_factory.getbasetemp() / "figures")
    run.record["health"] = figures
    run.status("running")
    assert repr(records.read(run.folder / "record.json")["health"]) == repr(figures)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float32("nan")])
def test_what_json_does_not_have_becomes_null(run, value):
    run.record["cost"] = {"macs": value, "layers": [value, 1.0]}
    run.status("running")
    text = (run.folder / "record.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["cost"] == {"macs": None, "layers": [None, 1.0]}


def test_numpy_scalars_are_numbers(run):
    run.record["health"] = {"collapsed": np.bool_(True), "n": np.int64(3), "x": np.float32(0.5)}
    run.status("running")
    health = records.read(run.folder / "record.json")["health"]
    assert health == {"collapsed": True, "n": 3, "x": 0.5}
    assert health["collapsed"] is True


def test_missing_record(tmp_path):
    with pytest.raises(UserError, match=r"record\.json: there is no such record"):
        records.read(tmp_path / "record.json")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b'{"schema": 1, ', "not JSON"),
        (b'{"schema": NaN}', "not JSON"),
        (b"\xff\xfe\x00", "not text"),
        (b"[1, 2]", "holds a list"),
        (b'{"schema": 2}', "schema 2; this version of dstbench reads up to 1"),
        (b"{}", "lacks schema, method, dataset"),
    ],
)
def test_what_is_no_record(tmp_path, content, complaint):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as error:
        records.read(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    "key", ["method", "seed", "config", "sparsity.asked", "provenance.attempt",
            "accuracy.test_final"]
)  # fmt: skip
def test_what_is_lacking_is_named(path, key):
    content = json.loads(path.read_text())
    *outer, last = key.split(".")
    del (content[outer[0]] if outer else content)[last]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"it lacks {key}\b"):
        records.read(path)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("schema", "1", "its schema is '1'"),
        ("schema", True, "its schema is True"),
        ("status", "done", "known: running, interrupted, finished"),
        ("sparsity", 0.9, "'sparsity' is no object"),
    ],
)
def test_what_is_wrong_is_named(path, key, value, complaint):
    content = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=complaint):
        records.read(path)


def test_reading_a_record_needs_the_standard_library_only():
    heavy = ("torch", "numpy", "mlflow", "gin", "rich")
    code = f"import dstbench.records.record, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
