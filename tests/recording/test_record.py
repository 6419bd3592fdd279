"""Records: exact floats, messages for damaged files, and light imports."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.example_run import ExampleRun
from hypothesis import given
from hypothesis import strategies as st

from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.types import FinalHealth


@pytest.fixture
def run(tmp_path):
    return ExampleRun(tmp_path / "run")


@pytest.fixture
def path(run):
    run.status("finished")
    return run.folder / "record.json"


def test_record_is_read_as_written(run):
    run.status("finished")
    assert records.read(run.folder / "record.json") == run.record


# Documented fields have types of their own, and Hypothesis tries names that it finds in the source.
OTHER_NAMES = st.text().filter(lambda name: name not in FinalHealth.__annotations__)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers()


@given(st.dictionaries(OTHER_NAMES, NUMBERS))
def test_record_keeps_numbers_exactly(tmp_path_factory, figures):
    run = ExampleRun(tmp_path_factory.getbasetemp() / "figures")
    run.record["health"] = figures
    run.status("running")
    assert repr(records.read(run.folder / "record.json")["health"]) == repr(figures)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float32("nan")])
def test_record_writes_nan_and_infinity_as_null(run, value):
    run.record["cost"] = {"macs": value, "layers": [value, 1.0]}
    run.status("running")
    text = (run.folder / "record.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["cost"] == {"macs": None, "layers": [None, 1.0]}


def test_record_writes_numpy_scalars_as_numbers(run):
    run.record["health"] = {"collapsed": np.bool_(True), "n": np.int64(3), "x": np.float32(0.5)}
    run.status("running")
    health = records.read(run.folder / "record.json")["health"]
    assert health == {"collapsed": True, "n": 3, "x": 0.5}
    assert health["collapsed"] is True


def test_read_refuses_missing_record(tmp_path):
    with pytest.raises(UserError, match=r"record\.json: no such record"):
        records.read(tmp_path / "record.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b'{"schema": 1, ', "not JSON"),
        (b'{"schema": NaN}', "not JSON"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"[1, 2]", "contains a list"),
        (b'{"schema": 2}', "schema 2; this version of dstbench reads up to 1"),
        (b"{}", "lacks schema, method, dataset"),
    ],
)
def test_read_refuses_other_content(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        records.read(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    "key",
    [
        "method",
        "seed",
        "config",
        "sparsity.asked",
        "provenance.attempt",
        "provenance.dataset_sha256",
        "accuracy.test_final",
    ],
)
def test_read_names_missing_field(path, key):
    content = json.loads(path.read_text())
    *outer, last = key.split(".")
    del (content[outer[0]] if outer else content)[last]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"it lacks {key}\b"):
        records.read(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", "1", "its schema is '1'"),
        ("schema", True, "its schema is True"),
        ("status", "done", "known: running, interrupted, finished"),
        ("sparsity", 0.9, "'sparsity' is not an object"),
    ],
)
def test_read_names_invalid_field(path, key, value, message):
    content = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        records.read(path)


def test_reading_a_record_needs_standard_library_only():
    heavy = ("torch", "numpy", "mlflow", "gin", "rich")
    code = f"import dstbench.recording.record, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
