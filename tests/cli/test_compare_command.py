"""`dstbench compare`: decided, not decided, resumed, refused."""

import json

import pytest
from helpers.forked import ForkedRuns
from helpers.record_factory import make_record

from dstbench.cli.commands import compare
from dstbench.data import datasets
from dstbench.recording import predictions
from dstbench.sweeps.launchers import local


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made_up(monkeypatch):
    """Return a function that replaces training: each run gets a record with an accuracy."""

    def replace(accuracy_of):
        def train(self, runs):
            for run in runs:
                made = make_record(accuracy=accuracy_of(run.job.method, run.job.seed))
                made["config"] = {"text": run.text, "sha256": run.sha256}
                run.folder.mkdir(parents=True)
                (run.folder / "record.json").write_text(json.dumps(made))
            self.trained += len(runs)

        monkeypatch.setattr(compare._Trainer, "train", train)

    return replace


OPTIONS = ("--device", "cpu", "--tracking", "off")


def test_compare_prints_every_pair_and_the_decision(call, made_up, empty_folder):
    made_up(lambda method, seed: 90 + seed / 10 + (method == "RigL"))
    code, out, _ = call("compare", "set", "rigl", "--sparsity", "0.8", *OPTIONS)
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("seed 0") and "rigl 91.00" in lines[0]
    assert "rigl is ahead of set in a typical pair of seeds: decided after 7 pairs" in out
    assert "-1.00 percentage points" in out and "14 trained, 0 reused" in out
    assert sorted(p.name for p in empty_folder.iterdir()) == ["runs"]
    code, again, _ = call("compare", "set", "rigl", "--sparsity", "0.8", *OPTIONS)
    assert code == 0 and "0 trained, 14 reused" in again
    assert again.splitlines()[:7] == lines[:7]


def test_compare_stops_undecided_at_max_seeds(call, made_up):
    made_up(lambda method, seed: 90 + (seed % 2) * (method == "RigL") + (1 - seed % 2) / 2)
    code, out, _ = call("compare", "set", "rigl", "--max-seeds", "6", *OPTIONS)
    assert code == 0 and "not decided after 6 pairs" in out and "12 trained" in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("rigl", "set", "--max-seeds", "3"), "at least 6"),
        (("rigl", "rigl"), "same configuration"),
        (("rigl", "sett"), "did you mean"),
        (("rigl", "set", "--workers", "0"), "--workers 0"),
        (("rigl", "set", "--threads", "5000"), "--threads 5000"),
        (("rigl", "set", "--dataset", "none"), "none"),
        (("rigl", "missing.json"), "one is a finished run"),
        (("one.json", "missing.json"), "missing.json"),
        (("one.json", "one.json", "--sparsity", "0.9"), "--sparsity: is for two methods"),
        (("one.json", "one.json", "--sparsity", "0"), "--sparsity: is for two methods"),
        (("one.json", "one.json", "--set-a", "a=1"), "--set-a: is for two methods"),
        (("one.json", "one.json", "--batch-size", "8"), "--batch-size: is for two methods"),
        (("one.json", "one.json", "--max-seeds", "20"), "--max-seeds: is for two methods"),
        (("one.json", "one.json", "--threads", "1"), "--threads: is for two methods"),
    ],
)
def test_compare_refuses_mistakes_and_writes_nothing(call, empty_folder, argv, words):
    (empty_folder / "one.json").write_text(json.dumps(make_record()))
    code, _, err = call("compare", *argv, *OPTIONS)
    assert code == 2 and words.lower() in err.lower()
    assert [p.name for p in empty_folder.iterdir()] == ["one.json"]


def test_compare_trains_with_the_short_options(call, monkeypatch):
    planned = []

    def fail(self, runs):
        planned.extend(runs)
        raise compare.RunFailed(runs[0], "is not trained here")

    monkeypatch.setattr(compare._Trainer, "train", fail)
    options = ("--epochs", "3", "--batch-size", "60", "--lr", "0.25")
    code, _, _ = call("compare", "rigl", "set", *options, *OPTIONS)
    assert code == 1 and len(planned) == 2
    for run in planned:
        assert run.epochs == 3 and "Run.batch_size = 60\n" in run.text
        assert "SGD.lr = 0.25\n" in run.text and run.arguments.count("--epochs") == 1


def test_compare_refuses_a_wrong_store_before_any_run_starts(call, empty_folder):
    code, _, err = call("compare", "rigl", "set", "--device", "cpu", "--tracking", "bogus")
    assert code == 2 and "'bogus' is not a store" in err
    assert not list(empty_folder.iterdir())


def test_compare_of_two_records_prints_the_paired_tests(call, empty_folder):
    data = datasets.load("digits")
    for name, wrong, batch, sparsity in (("a", 5, 128, 0.9), ("b", 25, 64, 0.95)):
        record = make_record(
            "RigL" if name == "a" else "SET", sparsity=sparsity, dataset="digits",
            images=data.sha256, protocol="strict", settings={"Run.batch_size": str(batch)},
        )  # fmt: skip
        predicted = [int(y + (i < wrong)) % 10 for i, y in enumerate(data.test.labels)]
        text = predictions.encode(predicted, 10)
        record["predictions"] = {"test": text, "classes": 10, "at": "final"}
        (empty_folder / f"{name}.json").write_text(json.dumps(record))
    code, out, _ = call("compare", "a.json", "b.json")
    assert code == 0 and "only A correct: 20, only B: 0" in out
    differing = [line for line in out.splitlines() if line.startswith("differs: ")]
    assert differing == ["differs: sparsity: A 90 %, B 95 %", "differs: batch_size: A 128, B 64"]
    assert "networks differ at 5 %" in out and "two networks, not two methods" in out


@pytest.mark.slow
def test_compare_trains_real_runs_and_resumes(call, monkeypatch):
    monkeypatch.setattr(local, "open_launcher", lambda wanted: ForkedRuns())
    argv = (
        "compare", "dense", "static", "--max-seeds", "6", "--set", "Run.epochs=1",
        "--set", "ResNet20.width=4", "--set", "Run.train_images=128", *OPTIONS,
    )  # fmt: skip
    code, out, err = call(*argv)
    assert code == 0 and "trained, 0 reused" in out and out.count("seed ") == 6, err
    code, out, _ = call(*argv)
    assert code == 0 and "0 trained, 12 reused" in out
