"""`dstbench.run`: from Python, several times in one process, with classes of one's own."""

import os
import signal
import subprocess
import sys
import time

import gin
import pytest
import torch

import dstbench

SMALL = {"ResNet20.width": 4}


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a small network on digits for two epochs."""

    def start(method="rigl", **given):
        settings = {"epochs": 2, "sparsity": 0.9, "threads": 1, "tracking": "off", "quiet": True}
        if isinstance(given.setdefault("set", {}), dict):
            given["set"] = SMALL | given["set"]
        return dstbench.run(method, runs=tmp_path / "runs", **settings | given)

    return start


@pytest.fixture
def mine():
    """A class as a notebook's cell defines it: in `__main__`, without a file."""
    source = (
        "@dstbench.register('parts')\nclass MinePart(dstbench.DropGrow):\n    '''{}'''\n"
        "    def grow_score(self, state, name):\n"
        "        return dstbench.gradient_of(state.masks.parameters[name]).abs().mul({})\n"
    )

    def define(factor):
        namespace = {"__name__": "__main__", "dstbench": dstbench}
        exec(source.format("Grows.", factor), namespace)
        return namespace["MinePart"]

    return define


def test_result_has_record_curves_and_the_sparse_network(run):
    result = run(set={"RigL.drop_fraction": 0.4})
    assert result.status == "finished" and result.exit_code == 0
    assert result.accuracy == result.record["accuracy"]["test_final"]
    assert list(result.curves().index) == [1, 2]
    assert "RigL.drop_fraction = 0.4" in result.record["config"]["text"]
    network = result.network()
    assert network.masks.total() == result.record["cost"]["live_weights"]
    for name, parameter in network.masks.parameters.items():
        assert not parameter[~network.masks[name]].any()
    logits = network(torch.zeros(2, *network.image_shape))
    assert logits.shape == (2, len(network.classes))
    assert result.layers()["live"].sum() == result.record["cost"]["live_weights"]


def test_same_call_returns_the_same_result_without_training(run):
    first = run()
    again = run()
    assert again.path == first.path and again.record == first.record


def test_gin_switches_and_random_generators_of_the_caller_are_left_alone(run, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    gin.config._CONFIG.clear()
    gin.parse_config("Run.epochs = 77")
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    result = run()  # with a shortcut of four channels, which is unsafe with oneDNN on AVX2
    assert torch.backends.mkldnn.enabled
    result.network()
    assert torch.backends.mkldnn.enabled
    assert gin.query_parameter("Run.epochs") == 77
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    gin.clear_config()


def test_a_second_run_does_not_disturb_the_first_ones_network(run):
    wide = run(set={"ResNet20.width": 8})
    run("set")
    assert wide.network().masks.total() == wide.record["cost"]["live_weights"]


@pytest.mark.parametrize(
    ("given", "binding"),
    [
        ({"lr": 0.05}, "SGD.lr = 0.05"),
        ({"batch_size": 32}, "Run.batch_size = 32"),
        ({"seed": 3}, "Run.seed = 3"),
        ({"set": {"Run.optimizer": "@Adam()"}, "epochs": 1}, "Run.optimizer = @Adam()"),
    ],
)
def test_keywords_become_bindings(run, given, binding):
    assert binding in run(**given).record["config"]["text"].splitlines()


def test_rate_is_that_of_the_optimizer_that_is_chosen(run):
    text = run(set={"Run.optimizer": "@Adam()"}, lr=0.002, epochs=1).record["config"]["text"]
    assert "Adam.lr = 0.002" in text and "SGD" not in text


def test_class_of_a_notebook_is_trained_and_replaced(run, mine):
    part = mine(1)
    result = run(part, set={"MinePart.updates_per_run": 4})
    assert result.status == "finished"
    assert result.network().masks.total() == result.record["cost"]["live_weights"]
    again = mine(1)
    assert run(again, set={"MinePart.updates_per_run": 4}).record == result.record


def test_class_that_was_replaced_or_bears_anothers_name_is_refused(run, mine):
    old = mine(1)
    mine(2)
    with pytest.raises(dstbench.UserError, match="defined again"):
        run(old, set={"MinePart.updates_per_run": 4})
    stranger = type("ResNet20", (torch.nn.Module,), {})
    with pytest.raises(dstbench.UserError, match="another ResNet20"):
        run(model=stranger)


def test_wrong_growth_score_is_refused_by_name_and_may_be_mended(run, mine):
    settings = {"MinePart.updates_per_run": 4}
    with pytest.raises(dstbench.UserError, match=r"MinePart\.grow_score.*expected a tensor"):
        run(mine("1)[:1].mul(1"), set=settings)
    assert run(mine(3), set=settings).status == "finished"  # nothing was saved before the mistake


def test_changed_class_of_a_notebook_is_another_method(run, mine):
    run(mine(1), set={"MinePart.updates_per_run": 4})
    with pytest.raises(dstbench.UserError, match="earlier version of MinePart"):
        run(mine(2), set={"MinePart.updates_per_run": 4})
    assert run(mine(2), set={"MinePart.updates_per_run": 4}, fresh=True).status == "finished"


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("riggl", {}, "Did you mean 'rigl'"),
        ("rigl", {"set": {"RigL.drop_fractoin": 0.3}}, "drop_fraction"),
        ("rigl", {"model": "ResNet21"}, "ResNet2"),
        (int, {}, "no method"),
        ("rigl", {"sparcity": 0.5}, "Did you mean 'sparsity'"),
        ("rigl", {"set": ["ResNet20.width = 4"]}, "expected names and values"),
        ("rigl", {"device": None}, "device = None: expected a text"),
        ("rigl", {"cache": 5}, "cache = 5: expected the path"),
        ("rigl", {"checkpoint_seconds": float("nan")}, "checkpoint_seconds = nan"),
        ("rigl", {"threads": "1"}, "whole number"),
        ("rigl", {"plugins": 3}, "list of paths"),
        ("rigl", {"plugins": "nope.py"}, "nope.py"),
        ("rigl", {"model": torch.nn.Linear}, "not registered"),
        ("rigl", {"model": torch.nn.Linear(2, 2)}, "no class"),
        ("rigl", {"lr": float("inf")}, "finite"),
        ("rigl", {"fresh": "yes"}, "True or False"),
        ("rigl", {"dataset": "/nowhere/at/all"}, "no such folder"),
        ("rigl", {"device": "tpu"}, "tpu"),
        ("rigl", {"threads": 0}, "at least 1"),
    ],
)
def test_mistakes_raise_user_error(run, tmp_path, method, given, message):
    with pytest.raises(dstbench.UserError, match=message):
        run(method, **given)
    assert not list(tmp_path.glob("runs/*/record.json"))


@pytest.mark.slow
def test_interrupt_saves_and_returns(tmp_path):
    code = (
        "import dstbench\n"
        "r = dstbench.run('rigl', epochs=400, threads=1, tracking='off', runs='runs',"
        " set={'ResNet20.width': 4})\n"
        "print('returned', r.status, len(r.curves()) > 0, r.exit_code)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out.strip() == "returned interrupted True 130"


def test_function_that_returns_a_network_is_a_model(run, tmp_path):
    plugin = tmp_path / "shallow.py"
    plugin.write_text(
        "from torch import nn\nfrom dstbench import register\n\n\n"
        "@register('models')\n"
        "def shallow(num_classes: int, in_channels: int, width: int = 6) -> nn.Module:\n"
        "    'Two layers.'\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.ReLU(), nn.Flatten(),\n"
        "                         nn.Linear(width * 36, num_classes))\n"
    )
    given = {"model": "shallow", "plugins": [plugin], "set": {"shallow.width": 5}}
    result = dstbench.run("rigl", runs=tmp_path / "runs", epochs=1, sparsity=0.5, threads=1,
                          tracking="off", quiet=True, **given)  # fmt: skip
    assert result.record["model"] == "shallow"
    assert result.record["cost"]["prunable_weights"] == 5 * 9 + 5 * 36 * 10
    with pytest.raises(dstbench.UserError, match=r"shallow\.width = 'wide'"):
        dstbench.run("rigl", **given | {"set": {"shallow.width": "wide"}})
