"""Training on several processes: the same weights and masks as on one, and one record."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import killing, two_processes
from helpers.forked import Forked, run_command
from hypothesis import given
from hypothesis import strategies as st

from dstbench.data.batch_plan import BatchPlan
from dstbench.data.sources import digits
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.training.device import choose_device
from dstbench.training.distributed.process_group import ProcessGroup

# Every test here needs a run on two processes.
pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RUN = [
    "run", "methods/rigl.gin", "--sparsity", "0.8", "--set", "Run.epochs=4",
    "--set", "ResNet20.width=4", "--device", "cpu", "--threads", "1", "--tracking", "off",
]  # fmt: skip


@given(st.integers(1, 60), st.integers(1, 30), st.integers(1, 5), st.integers(0, 200))
def test_shards_cover_the_batch_and_their_weights_sum_to_one(count, batch_size, size, step):
    whole = BatchPlan(count, batch_size)
    parts = [BatchPlan(count, batch_size, ProcessGroup(rank, size).shard) for rank in range(size)]
    epoch, here = whole.of(step)
    assert here.stop - here.start == whole.size_at(step) == min(batch_size, count - here.start)
    assert epoch == step // whole.steps_per_epoch
    places = [i for p in parts for i in range(p.of(step)[1].start, p.of(step)[1].stop)]
    assert places == list(range(here.start, here.stop))
    assert sum(p.weight_at(step) for p in parts) == pytest.approx(1)
    sizes = [p.of(step)[1].stop - p.of(step)[1].start for p in parts]
    assert max(sizes) - min(sizes) <= 1


def test_choose_device_gives_each_process_its_own_gpu():
    assert choose_device("cpu", ProcessGroup(1, 2, 1)) == torch.device("cpu")
    with pytest.raises(UserError, match="one GPU each"):
        choose_device("cuda:0", ProcessGroup(1, 2, 1))


def both(function, *args):
    """Call a function in two processes, as torchrun does; return (store, processes).

    The store, which the processes find each other by, must live as long as they do.
    """
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        **{"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)},
        **{"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"},
    }
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    return store, [Forked(function, *args, environment=shared | rank) for rank in ranks]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The results of each of two processes, in the trainings of two_processes.py."""
    folder = tmp_path_factory.mktemp("two")
    _store, processes = both(two_processes.main, folder)
    for process in processes:
        assert process.wait() == 0, process.errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_train_like_one_with_the_whole_batch(two):
    alone = two_processes.outcome(
        two_processes.trained(two_processes.without_norm(), two_processes.mover())
    )
    assert alone["step"] == 15
    for rank in two:
        found = rank["without norm"]
        for name, index in alone["masks"].items():
            assert torch.equal(found["masks"][name], index), name
        for name, weights in alone["weights"].items():
            torch.testing.assert_close(found["weights"][name], weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["without norm", "with norm", "random depth"])
def test_two_processes_agree_bit_for_bit(two, which):
    one, other = (rank[which] for rank in two)
    assert killing.same(one["masks"], other["masks"])
    learnt = [name for name in one["weights"] if "running" not in name]
    assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in learnt)


@pytest.mark.parametrize("which", ["DrawsOwnNumbers", "MovesAlone"])
def test_differing_masks_are_refused_and_the_layer_named(two, which):
    for rank in two:
        assert "process 1 has other masks than process 0 in 2.weight." in rank[which]
        assert "step 8," in rank[which]


def test_weights_that_differ_are_refused_and_the_tensor_named(two):
    for rank in two:
        assert "process 1 has other weights than process 0 in 0.bias" in rank["ChangesWeights"]


def test_gradients_are_summed_by_parameter_whatever_each_process_has(two):
    expected = {"both": 0.25 * 1 + 0.75 * 2, "first": 0.25 * 3, "second": 0.75 * 3}
    for rank in two:
        assert rank["branches"].pop("neither") is None
        assert {n: g.tolist() for n, g in rank["branches"].items()} == {
            name: [value, value] for name, value in expected.items()
        }


# --- the command ----------------------------------------------------------------------------------


def finish(runs: Path) -> tuple[str, str]:
    """Run the command in two processes to the end; return both outputs, and both errors, joined."""
    _store, processes = both(run_command, (*RUN, "--runs", str(runs)))
    for process in processes:
        assert process.wait() == 0, process.errors
    return "".join(p.output for p in processes), "".join(p.errors for p in processes)


def start_torchrun(runs: Path, *options: str) -> subprocess.Popen:
    command = [*TORCHRUN, "-m", "dstbench", *RUN, "--runs", str(runs), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def process_of(torchrun: subprocess.Popen, rank: int) -> int:
    """Process id of one of the processes that torchrun started."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == torchrun.pid and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"torchrun has no process of rank {rank}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run by two processes that was never stopped: (its folder of runs, what it printed)."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    return runs, *finish(runs)


def test_two_processes_write_one_record_and_one_log(whole):
    runs, output, errors = whole
    assert output.count("test accuracy") == 1 and errors.count("epoch 4/4") == 1
    (folder,) = runs.iterdir()
    names = {p.name for p in folder.iterdir()}
    networks = {"network.pt", "best.pt"}  # small enough to be in the record as well
    assert names == {"lock", "record.json", "run.gin", "curves.jsonl", *networks}
    record = json.loads((folder / "record.json").read_text())
    assert record["provenance"]["processes"] == 2
    predicted = predictions.decode(record["predictions"]["test"], 10)
    labels = digits.load().test.labels  # each process predicted its shard; the order is theirs
    assert predictions.accuracy(predicted, labels) == record["accuracy"]["test_final"]
    curves = (folder / "curves.jsonl").read_text().splitlines()
    hits = json.loads(curves[-1])["train_accuracy"] / 100 * 1295  # all training images, each once
    assert hits == pytest.approx(round(hits), abs=1e-6)


def test_number_of_processes_does_not_change_the_run_folder(whole, tmp_path, call):
    runs, _, _ = whole
    code, _, errors = call(*RUN, "--runs", str(runs))
    assert code == 0 and "done already" in errors


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, with the processes")
def test_a_signal_to_any_process_stops_all_and_the_run_resumes_bit_for_bit(whole, tmp_path):
    process = start_torchrun(tmp_path)
    for line in process.stderr:
        if "  loss " in line:
            break
    os.kill(process_of(process, 1), signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0 and "everything is saved" in errors
    (record,) = tmp_path.glob("*/record.json")
    assert json.loads(record.read_text())["status"] == "interrupted"
    assert "Resuming at step" in finish(tmp_path)[1]
    assert killing.same(killing.outcome(whole[0]), killing.outcome(tmp_path))
    history = json.loads(record.read_text())["provenance"]["history"]
    assert [session["processes"] for session in history] == [2, 2]


def test_an_error_of_all_processes_is_printed_once_and_at_once(tmp_path):
    options = ("--set", "Run.batch_size=1295", "--set", "Run.train_images=1")
    _store, (first, second) = both(run_command, (*RUN, "--runs", str(tmp_path), *options))
    assert first.wait() == 2
    assert first.errors.count("An epoch ends with fewer images than processes") == 1
    assert "RuntimeError" not in first.errors
    second.send_signal(signal.SIGTERM)  # torchrun ends the others when one process has ended
    assert second.wait() == -signal.SIGTERM
    assert "An epoch ends" not in second.errors and "Traceback" not in second.errors


def test_an_error_of_one_process_is_printed(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "from dstbench.errors import UserError\n"
        "from dstbench.core.part import Part\n"
        "from dstbench.config.registry import register\n"
        "@register('parts')\n"
        "class Unlucky(Part):\n"
        "    def before_step(self, state):\n"
        "        if os.environ['RANK'] == '1' and state.step == 3:\n"
        "            raise UserError('one image is broken')\n"
    )
    process = start_torchrun(
        tmp_path / "runs", "--plugin", str(tmp_path / "mine.py"),
        "--set", "Method.parts=[@Unlucky(), @ERK(), @RigL()]",
    )  # fmt: skip
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0 and errors.count("one image is broken") == 1
