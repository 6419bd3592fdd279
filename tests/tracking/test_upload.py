"""Passes into a real SQLite store: everything is sent once, also after interruptions."""

import json
import uuid
from types import SimpleNamespace

import pytest
from helpers.example_run import (
    CONFIG,
    EPOCH_ROWS,
    RESULT_ROWS,
    STARTED,
    ExampleRun,
    rows_in,
    runs_in,
)

from dstbench.errors import UserError
from dstbench.tracking import upload as upload_module
from dstbench.tracking.store import Store, open_store
from dstbench.tracking.upload import upload

# Every test here writes a real MLflow store.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return tmp_path_factory.mktemp("a store") / "sub" / "mlflow.db"


@pytest.fixture(scope="module")
def store(database):
    return open_store(f"sqlite:///{database}")


@pytest.fixture
def run(tmp_path):
    return ExampleRun(tmp_path / "rigl-seed3")


def test_upload_sends_all_of_a_finished_run(run, store, database):
    run.epochs(3)
    run.status("finished")
    done = upload(run.folder, store)
    found = store.client.get_run(done.run_id)
    assert (done.epochs, done.artifacts) == (3, 4)
    params = {"Run.seed": "0", "rigl/Cosine.start": "0.5", "Run.name": "'a = b'"}
    assert found.data.params == params
    expected = {
        "method": "RigL",
        "dataset": "digits",
        "model": "ResNet20",
        "recipe": "digits",
        "protocol": "strict",
        "precision": "fp32",
        "seed": "3",
        "sparsity": "0.9",
        "status": "finished",
        "dstbench.config_sha256": "c0ffee",
        "dstbench.attempt": run.record["provenance"]["attempt"],
    }
    assert found.data.tags.items() >= expected.items()
    assert found.info.run_name == "rigl-seed3"
    assert found.info.status == "FINISHED"
    assert found.info.start_time == int(STARTED * 1000)
    assert found.info.end_time == int((STARTED + 1000) * 1000)
    history = store.client.get_metric_history(done.run_id, "val/loss")
    when = [int((STARTED + epoch) * 1000) for epoch in (1, 2, 3)]
    assert [(m.step, m.value, m.timestamp) for m in history] == list(
        zip((1, 2, 3), (1.0, 1 / 2, 1 / 3), when, strict=True)
    )
    assert found.data.metrics["result/accuracy_test_final"] == 97.5
    assert found.data.metrics["result/cost_macs"] == 123456
    assert rows_in(database, done.run_id) == 3 * EPOCH_ROWS + RESULT_ROWS
    artifacts = {a.path for a in store.client.list_artifacts(done.run_id)}
    assert artifacts == {"record.json", "run.gin", "curves.jsonl", "network.pt"}
    copy = database.parent / "mlartifacts" / done.run_id / "artifacts" / "run.gin"
    assert copy.read_text() == CONFIG


@pytest.mark.parametrize("forget", ["nothing", "all", "half", "garbage"])
def test_upload_again_sends_nothing_twice(run, store, database, forget):
    memory = run.folder / "mlflow.json"
    run.epochs(2)
    first = upload(run.folder, store)
    early = memory.read_bytes()
    run.epochs(5)
    run.status("finished")
    second = upload(run.folder, store)
    assert (first.epochs, second.epochs) == (2, 3)
    {
        "nothing": lambda: None,
        "all": memory.unlink,
        "half": lambda: memory.write_bytes(early),
        "garbage": lambda: memory.write_text('{"run_id": '),
    }[forget]()
    third = upload(run.folder, store)
    assert (third.run_id, third.epochs, third.artifacts) == (first.run_id, 0, 0)
    assert rows_in(database, first.run_id) == 5 * EPOCH_ROWS + RESULT_ROWS


class Failing:
    """A client whose n-th call that changes the store fails, before or after it took effect."""

    def __init__(self, client, calls, took_effect):
        self.client, self.left, self.took_effect = client, calls, took_effect

    def __getattr__(self, name):
        call = getattr(self.client, name)
        if name.startswith(("get", "list", "search")):
            return call

        def counted(*args, **kwargs):
            self.left -= 1
            if self.left == 0 and not self.took_effect:
                raise ConnectionError("the request was lost")
            result = call(*args, **kwargs)
            if self.left == 0:
                raise ConnectionError("the answer was lost")
            return result

        return counted


@pytest.mark.parametrize("took_effect", [False, True])
def test_upload_after_an_interruption_anywhere_is_complete(
    run, store, database, took_effect, monkeypatch
):
    monkeypatch.setattr(upload_module, "_METRICS_PER_CALL", 4)  # so that every epoch is split
    run.epochs(2)
    run.status("finished")
    runs_before = set(runs_in(database))
    for calls in range(1, 100):
        # A new attempt each time; what a crash leaves behind is completed by the next pass.
        run.record["provenance"]["attempt"] = uuid.uuid4().hex
        run.status("finished")
        client = Failing(store.client, calls, took_effect)
        try:
            done = upload(run.folder, Store(client, store.uri, store.experiment_id))
        except ConnectionError:
            (run.folder / "mlflow.json").unlink(missing_ok=True)
            done = upload(run.folder, store)
        assert rows_in(database, done.run_id) == 2 * EPOCH_ROWS + RESULT_ROWS
        assert len(set(runs_in(database)) - runs_before) == calls
        assert store.client.get_run(done.run_id).info.status == "FINISHED"
        assert len(store.client.list_artifacts(done.run_id)) == 4
        if client.left > 0:  # no call was left to fail
            break
    assert 10 < calls < 40


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("running", "RUNNING"),
        ("interrupted", "KILLED"),
        ("failed", "FAILED"),
        ("diverged", "FAILED"),
    ],
)
def test_upload_of_a_resumed_run_stays_one_run(run, store, status, shown):
    run.epochs(1)
    run.status(status)
    first = upload(run.folder, store)
    assert store.client.get_run(first.run_id).info.status == shown
    (run.folder / "mlflow.json").unlink()
    run.status("running")
    second = upload(run.folder, store)
    assert second.run_id == first.run_id
    assert store.client.get_run(first.run_id).info.status == "RUNNING"
    run.epochs(2)
    run.status("finished")
    third = upload(run.folder, store)
    assert (third.run_id, third.epochs) == (first.run_id, 1)
    assert store.client.get_run(first.run_id).info.status == "FINISHED"


def test_upload_of_a_fresh_attempt_is_another_run(run, store):
    first = upload(run.folder, store)
    again = ExampleRun(run.folder)
    assert upload(again.folder, store).run_id != first.run_id


def test_upload_does_not_resend_repeated_epochs(run, store, database):
    run.epochs(4)
    done = upload(run.folder, store)
    run.epochs(2)  # the newest checkpoint was damaged, the one before it is older
    assert upload(run.folder, store).epochs == 0
    run.epochs(5)
    assert upload(run.folder, store).epochs == 1
    assert rows_in(database, done.run_id) == 5 * EPOCH_ROWS


def test_upload_creates_a_run_deleted_in_the_store_again(run, store, database):
    run.epochs(2)
    first = upload(run.folder, store)
    store.client.delete_run(first.run_id)
    second = upload(run.folder, store)
    assert second.run_id != first.run_id
    assert rows_in(database, second.run_id) == 2 * EPOCH_ROWS


def test_upload_ignores_the_reference_of_another_store(run, store):
    upload(run.folder, store)
    known = json.loads((run.folder / "mlflow.json").read_text())
    (run.folder / "mlflow.json").write_text(
        json.dumps(known | {"uri": "http://elsewhere", "run_id": "f" * 32})
    )
    assert upload(run.folder, store).run_id == known["run_id"]


def test_upload_sends_artifacts_at_the_end_of_a_session_and_after_changes(run, store):
    run.epochs(1)
    done = upload(run.folder, store)
    assert store.client.list_artifacts(done.run_id) == []
    run.status("interrupted")
    assert upload(run.folder, store).artifacts == 3
    run.status("finished")
    assert upload(run.folder, store).artifacts == 2  # the record, and the network


def test_upload_twice_at_once_takes_turns(run, store, monkeypatch):
    monkeypatch.setattr(upload_module, "_LOCK_S", 0.1)
    inner = SimpleNamespace(error=None)

    class Meanwhile:
        def __getattr__(self, name):
            if inner.error is None:
                with pytest.raises(TimeoutError) as caught:
                    upload(run.folder, store)
                inner.error = caught.value
            return getattr(store.client, name)

    upload(run.folder, Store(Meanwhile(), store.uri, store.experiment_id))
    assert "another process" in str(inner.error)


def test_upload_sends_nothing_that_is_a_link(run, store, tmp_path):
    run.epochs(1)
    run.status("finished")
    (tmp_path / "secret").write_text("of somebody")
    for name in ("best.pt", "network.pt"):
        (run.folder / name).unlink(missing_ok=True)
        (run.folder / name).symlink_to(tmp_path / "secret")
    done = upload(run.folder, store)
    sent = {file.path for file in store.client.list_artifacts(done.run_id)}
    assert sent and not sent & {"best.pt", "network.pt"}


def test_upload_refuses_an_unreadable_record(run, store):
    (run.folder / "record.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        upload(run.folder, store)
