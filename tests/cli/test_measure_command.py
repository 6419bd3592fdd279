"""`dstbench measure`: JSON, the table, worst cases, and clear messages for bad input."""

import json
import shutil

import pytest
import torch

from dstbench.config.shipped_files import shipped
from dstbench.measure import dense_forms
from dstbench.sparsity import live_total

SHORT = (
    *("--set", "Run.epochs=2", "--set", "ResNet20.width=2", "--quiet"),
    *("--tracking", "off", "--threads", "1"),
)


OPTIONAL = {"onnxruntime", "openvino", "openvino bf16", "dense bf16"}  # where there are such


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished DCTpS run."""
    from dstbench.cli.main import main

    runs, method = tmp_path_factory.mktemp("runs"), str(shipped("methods")["dctps"])
    with pytest.raises(SystemExit) as exit:
        main(["run", method, "--sparsity", "0.8", "--runs", str(runs), *SHORT])
    assert exit.value.code == 0
    return next(runs.iterdir())


@pytest.fixture
def no_compiler(monkeypatch):
    """torch.compile fails, as without a C++ compiler: it would take a while."""

    def fail(model, examples):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(dense_forms, "compile_frozen", fail)


@pytest.mark.slow
def test_measure_json_has_conditions_forms_and_latencies(run, call, no_compiler):
    code, out, _ = call(
        "measure", str(run), "--batch", "4,1", "--repeats", "3", "--threads", "1", "--json"
    )
    assert code == 0
    found = json.loads(out)
    record = json.loads((run / "record.json").read_text())
    assert next(iter(found)) == "schema" and found["schema"] == 1
    assert not found["worst_case"] and found["run"] == run.name
    for key in ("method", "model", "dataset", "seed"):
        assert found[key] == record[key]
    assert found["sparsity"] == {k: record["sparsity"][k] for k in ("asked", "measured")}
    assert found["live_weights"] == record["cost"]["live_weights"]
    assert found["threads"] == 1
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["failed"]["dense compiled"] == "RuntimeError: no compiler"
    names = [form["name"] for form in found["forms"]]
    assert set(names) - OPTIONAL == {"dense", "dense frozen", "masked", "two-branch", "merged"}
    assert "dense offset" in found["failed"]["deployed"]
    pairs = [(t["form"], t["batch"]) for t in found["timings"]]
    assert sorted(pairs) == sorted((name, batch) for name in names for batch in (1, 4))
    for t in found["timings"]:
        assert t["quartiles_ms"][0] <= t["latency_ms"] <= t["quartiles_ms"][1]
        assert t["images_per_s"] == pytest.approx(1000 * t["batch"] / t["latency_ms"])
    for batch in (1, 4):
        dense = {
            t["form"]: t["latency_ms"]
            for t in found["timings"]
            if t["batch"] == batch and t["form"] not in ("masked", "two-branch", "merged")
        }
        assert found["best_dense_any"][str(batch)] == min(dense, key=dense.get)
        fp32 = {form: ms for form, ms in dense.items() if "bf16" not in form}
        assert found["best_dense"][str(batch)] == min(fp32, key=fp32.get)


@pytest.mark.slow
def test_measure_prints_a_table(run, call, no_compiler):
    code, out, err = call("measure", str(run), "--batch", "2", "--repeats", "2", "--threads", "1")
    assert code == 0 and "DCTpS · ResNet20 · digits" in out
    for name in ("dense frozen", "masked", "two-branch", "merged"):
        assert name in out
    assert "Not measured: dense compiled (RuntimeError: no compiler)" in out
    assert "best dense" in out and "preparing" in err


@pytest.mark.slow
def test_measure_worst_case_needs_no_run(call, no_compiler):
    pytest.importorskip("numba")
    code, out, err = call(
        *("measure", "--worst-case", "ResNet20", "--sparsity", "0.95", "--image", "1,8,8"),
        *("--classes", "4", "--batch", "2", "--repeats", "1", "--threads", "1", "--json"),
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["worst_case"] and found["run"] is None and found["model"] == "ResNet20"
    assert found["image_shape"] == [1, 8, 8] and found["classes"] == 4
    assert found["live_weights"] == live_total(0.95, found["prunable_weights"])
    forms = {form["name"]: form for form in found["forms"]}
    assert forms.keys() - OPTIONAL == {"dense", "dense frozen", "masked", "deployed"}
    assert forms["deployed"]["difference"] < 1e-4 and forms["dense"]["difference"] is None


@pytest.mark.slow
def test_measure_leaves_the_run_unchanged(run, call, no_compiler):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    call("measure", str(run), "--batch", "1", "--repeats", "1", "--threads", "1")
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "name one thing to measure"),
        (("a", "--worst-case", "ResNet20"), "name one thing to measure"),
        (("nothing",), "nothing: no such run"),
        (("a", "--sparsity", "0.9"), "--sparsity is for --worst-case"),
        (("a", "--image", "3,8,8"), "--image is for --worst-case"),
        (("a", "--classes", "3"), "--classes is for --worst-case"),
        (("--worst-case", "ResNet20"), "--worst-case needs a --sparsity"),
        (("--worst-case", "ResNet2", "--sparsity", "0.9"), "Did you mean 'ResNet20'"),
        (("a", "--batch", "1,x"), "--batch: '1,x': expected whole numbers"),
        (("a", "--batch", 5000 * "9"), "expected whole numbers"),
        (("a", "--batch", ""), "expected whole numbers"),
        (("a", "--batch", "0"), "expected whole numbers"),
        (("a", "--repeats", "0"), "--repeats 0: must be at least 1"),
        (("a", "--threads", "0"), "--threads 0"),
        (("a", "--device", "nowhere"), "--device nowhere"),
    ],
)
def test_measure_refuses_bad_arguments_with_one_message(arguments, message, call, tmp_path):
    code, out, err = call("measure", *arguments, "--runs", str(tmp_path))
    assert code == 2 and message in err and not out and "Traceback" not in err


@pytest.mark.slow
def test_measure_refuses_a_run_without_its_network(run, call, tmp_path):
    copy = shutil.copytree(run, tmp_path / run.name)
    (copy / "network.pt").unlink()
    code, _, err = call("measure", str(copy))
    assert code == 2 and "network.pt: no such file" in err
