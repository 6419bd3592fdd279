"""`verify --retrain`: another attempt is compared, kept beside the first, never instead of it."""

import json
from pathlib import Path

import pytest
from helpers.record_factory import make_record, name_of

from dstbench.boards.badges import Badges
from dstbench.boards.replications import most_retrained, replication_problem
from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.stored_network import INLINE_BYTES, stored_network
from dstbench.training.configure import assemble
from dstbench.training.outcome import Outcome
from dstbench.training.run import run_name
from dstbench.verify import retrain
from dstbench.verify.noise import most_changed, most_gained
from dstbench.verify.retrain import keep

RUN = (
    "methods/rigl.gin", "--set", "Run.epochs=1", "--set", "ResNet20.width=4", "--device", "cpu",
    "--threads", "1", "--tracking", "off", "--quiet",
)  # fmt: skip


def test_limits_follow_the_number_of_images():
    assert most_changed("bf16", "cpu", 10_000) > most_changed("fp32", "cpu", 10_000)
    assert most_changed("fp32", "NVIDIA H100", 10_000) == most_changed("bf16", "cpu", 10_000)
    assert most_changed("fp32", "cpu", 359) == 1
    assert [most_gained(n, 10_000) for n in (0, 1, 9, 232)] == [0, 3, 9, 20]
    assert most_gained(9, 359) == 1
    few, many = most_retrained(90.0, 1_000), most_retrained(90.0, 100_000)
    assert few == pytest.approx(10 * many, rel=0.01)
    assert 100 / 359 < most_retrained(100.0, 359) < 1
    assert most_retrained(0.0, 359) == pytest.approx(most_retrained(100.0, 359))


@pytest.mark.parametrize(("again", "differs"), [(90.0, False), (90.5, False), (93.0, True)])
def test_attempt_beyond_the_noise_of_attempts_differs(again, differs):
    one, other = make_record(accuracy=90.0), make_record(accuracy=again)
    assert replication_problem(one, one) == "they are one attempt"
    other["provenance"]["attempt"] = "another"
    assert (replication_problem(one, other) is not None) is differs


def test_attempt_at_another_run_is_no_replication():
    assert replication_problem(make_record(), make_record(seed=1)) is not None


def large_network(folder, content):
    """Write the folder of a run whose record has no room for its network; return its record."""
    folder.mkdir()
    stored = stored_network(bytes(INLINE_BYTES + 1), "network.safetensors")
    records.write(folder / "record.json", make_record() | {"network": stored})
    (folder / "network.safetensors").write_bytes(content)
    return folder / "record.json"


def test_replication_is_kept_with_its_network(tmp_path):
    content = bytes(INLINE_BYTES + 1)
    run = large_network(tmp_path / "run", content)
    kept = keep(run, tmp_path / "first.json", tmp_path / "board")
    assert kept.read_bytes() == run.read_bytes()
    network = tmp_path / "board" / "networks" / f"{kept.stem}.safetensors"
    assert network.read_bytes() == content


def test_replication_with_another_network_than_its_records_is_not_kept(tmp_path):
    run = large_network(tmp_path / "run", bytes(INLINE_BYTES))
    with pytest.raises(UserError, match="network"):
        keep(run, tmp_path / "first.json", tmp_path / "board")
    assert not (tmp_path / "board").exists()


@pytest.fixture
def retrained(tmp_path, monkeypatch):
    """Return a function that replaces training by an outcome; it returns a record's path."""
    monkeypatch.chdir(tmp_path)

    def replace(status):
        _, resolved = assemble(Choices(("methods/rigl.gin",)), "fp32")
        record = make_record()
        record["config"] = {"text": resolved.text, "sha256": resolved.sha256}
        Path("first.json").write_text(json.dumps(record))

        def carry_out(run, resolved, options, reporter):
            assert options.threads == 3
            again = record | {"status": status}
            again["provenance"] = record["provenance"] | {"attempt": "another"}
            folder = options.runs / run_name(run, resolved)
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(json.dumps(again))
            return Outcome(folder, again, "", 1)

        monkeypatch.setattr(retrain, "carry_out", carry_out)
        return "first.json"

    return replace


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("diverged", 1, "differs: the first attempt is finished, the other diverged"),
        ("interrupted", 2, "the run was stopped; the same command resumes it"),
    ],
)
def test_retrained_run_that_did_not_finish(call, retrained, status, code, words):
    path = retrained(status)
    found, out, err = call("verify", "--retrain", path, "--threads", "3", "--device", "cpu")
    assert found == code and words in out + err


def test_retraining_refuses_a_wrong_store_first(call, retrained):
    argv = ("verify", "--retrain", retrained("finished"), "--threads", "3")
    code, _, err = call(*argv, "--tracking", "bogus")
    assert code == 2 and "'bogus' is not a store" in err and not Path("runs").exists()


@pytest.mark.slow
def test_retrained_run_is_kept_beside_the_first(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    assert call("run", *RUN)[0] == 0
    (first,) = Path("runs").glob("*/record.json")
    record = records.read(first)
    path = Path("leaderboard/records") / f"{name_of(record)}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(before := first.read_bytes())
    network = Path("leaderboard/networks") / f"{path.stem}.safetensors"
    network.parent.mkdir()
    if "file" in record["network"]:
        network.write_bytes((first.parent / record["network"]["file"]).read_bytes())
    options = ("--threads", "1", "--device", "cpu")
    code, out, err = call("verify", "--retrain", str(path), *options)
    assert code == 2 and "holds the record's own run" in err
    code, out, err = call("verify", "--retrain", "--write", str(path), "--runs", "again", *options)
    assert code == 0 and "retrained: again/" in out, (out, err)
    (replication,) = Path("leaderboard/replications").glob("*.json")
    attempt = json.loads(replication.read_text())["provenance"]["attempt"]
    assert attempt != record["provenance"]["attempt"] and path.read_bytes() == before
    assert call("verify", str(path), "--write", "--threads", "1")[0] == 0
    assert Badges(Path("leaderboard")).of(record, before) == "retrained"
