"""Curve files that cannot be drawn: the record is refused by name, and the board is built."""

import json

import pytest
from helpers.lab import write_records, write_run_folder
from helpers.record_factory import make_record

from dstbench.boards.collect_runs import collect_runs
from dstbench.boards.curve_checks import curve_problems
from dstbench.boards.read_results import read_results

LISTS = {"val_accuracy": [50.0, None], "sparsity": [0.99, 0.99]}


@pytest.mark.parametrize(
    "content, message",
    [
        ("[", "it is not JSON"),
        ("[]", "is [], not an object"),
        (json.dumps(LISTS | {"layers_positive": [1, 2]}), "layers_positive is [1, 2]"),
        (json.dumps(LISTS | {"grad_norm_live": ["x", "y"]}), "grad_norm_live[0] is 'x'"),
        (json.dumps(LISTS | {"gradient_flow": 3}), "gradient_flow is 3, not a list"),
        (json.dumps(LISTS | {"epoch": [1.5, 2]}), "epoch[0] is 1.5"),
    ],
)
@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_curves_of_a_wrong_type_are_named_and_the_rest_is_shown(tmp_path, status, content, message):
    bad = make_record(status=status)
    name, other = write_records(tmp_path, bad, make_record("SET"))
    path = tmp_path / "curves" / f"{name}.json"
    path.parent.mkdir()
    path.write_text(content)
    (problem,) = curve_problems(bad, path)
    assert f"curves/{path.name} is no curve file (" in problem and message in problem
    results, (rejected,) = read_results(tmp_path / "records")
    assert [result.name for result in results] == [other]
    assert rejected.names == (name,) and message in rejected.reason


def test_curves_of_a_diverged_run_are_not_compared_with_its_record(tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"val_accuracy": [50.0], "sparsity": [], "layers_positive": {}}))
    assert list(curve_problems(make_record(status="diverged"), path)) == []


def test_curves_that_are_not_utf8_are_a_complaint_of_their_run(tmp_path):
    folder = write_run_folder(tmp_path / "runs", make_record())
    (folder / "curves.jsonl").write_bytes(b"\xff\n")
    write_run_folder(tmp_path / "runs", make_record("SET"))
    collected = collect_runs([str(tmp_path / "runs")], tmp_path / "out")
    (complaint,) = collected.complaints
    assert "line 1 holds no epoch (it is not UTF-8 text)" in complaint
    assert [name[:3] for name in collected.new] == ["set"]
