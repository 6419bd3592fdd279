"""Two finished runs: their predictions of the same test images."""

import json

import numpy as np
import pytest
from helpers.record_factory import make_record

from dstbench.comparison.finished_runs import compare_runs, is_run
from dstbench.data import datasets
from dstbench.errors import UserError
from dstbench.recording import predictions

DIGITS = datasets.load("digits")
LABELS = DIGITS.test.labels


def write(path, wrong=0, status="finished", images=DIGITS.sha256, protocol="strict", **changes):
    """Write a record whose predictions of the first `wrong` test images are wrong."""
    record = make_record(dataset="digits", status=status, images=images, protocol=protocol)
    text = predictions.encode(shifted(wrong), 10)
    record["predictions"] = {"test": text, "classes": 10, "at": "final"} | changes
    path.write_text(json.dumps(record))
    return str(path)


def shifted(wrong):
    return [int(y + (i < wrong)) % 10 for i, y in enumerate(LABELS)]


def test_runs_are_compared_image_by_image(tmp_path):
    a, b = write(tmp_path / "a.json", 5), write(tmp_path / "b.json", 25)
    found = compare_runs(a, b, None, None).result
    assert (found.images, found.only_a, found.only_b) == (len(LABELS), 20, 0)
    assert found.difference == pytest.approx(2000 / len(LABELS))
    assert found.p == pytest.approx(2 * 0.5**20)


def test_run_folder_is_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "record.json")
        assert is_run(str(tmp_path / name))
    found = compare_runs(str(tmp_path / "a"), str(tmp_path / "b"), None, None)
    assert found.result.p == 1.0 and found.networks == ("final", "final")
    assert not is_run("methods/rigl.gin") and not is_run("rigl")


def test_network_that_the_protocol_reports_is_compared(tmp_path):
    best = predictions.encode(shifted(50), 10)
    a = write(tmp_path / "a.json", 5, protocol="paper", test_at_best_val=best)
    b = write(tmp_path / "b.json", 5, protocol="strict", test_at_best_val=best)
    found = compare_runs(a, b, None, None)
    assert found.networks == ("best epoch", "final")
    assert (found.result.only_a, found.result.only_b) == (0, 45)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "diverged"}, "compare finished runs"),
        ({"images": "other"}, "other images"),
        ({"test": "no base64!"}, "cannot be read"),
        ({"test": predictions.encode([1, 2, 3], 10)}, "3 predictions of"),
        ({"classes": None}, "predictions.classes is None"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path, changes, words):
    a, b = write(tmp_path / "a.json"), write(tmp_path / "b.json", **changes)
    for pair in ((a, b), (b, a)):
        with pytest.raises(UserError, match=words):
            compare_runs(*pair, None, None)


def test_record_without_predictions_is_refused(tmp_path):
    a = write(tmp_path / "a.json")
    record = json.loads((tmp_path / "a.json").read_text())
    del record["predictions"]
    (tmp_path / "b.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"b\.json: the record has no predictions"):
        compare_runs(a, str(tmp_path / "b.json"), None, None)


def test_two_runs_on_changed_data_are_refused(tmp_path):
    both = [write(tmp_path / f"{name}.json", images=np.str_("other")) for name in "ab"]
    with pytest.raises(UserError, match="other images than digits has here"):
        compare_runs(*both, None, None)
