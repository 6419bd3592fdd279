"""The choice of an engine: what is refused, what 'auto' takes, what a record says."""

import json
import sys

import pytest
import torch
from helpers import killing
from helpers.native_double import NativeDouble
from helpers.tiny_runs import IMAGE, started, tiny_resnet

from dstbench.boards.validation import inconsistencies
from dstbench.core.budgets import ERK
from dstbench.methods.dyrelu import DyReLU
from dstbench.metrics import health
from dstbench.models import live_convolutions
from dstbench.models.precision import autocast_for
from dstbench.native.network import NativeNetwork
from dstbench.training import trainer
from dstbench.training.engines.choose import evaluation_engine
from dstbench.training.engines.torch_engine import TorchEngine

RUN = (
    *("--set", "Run.epochs=3", "--set", "ResNet20.width=4", "--set", "precision='fp32'"),
    *("--device", "cpu", "--threads", "1", "--tracking", "off"),
)
RIGL = ("run", "methods/rigl.gin", "--sparsity", "0.9", *RUN)


@pytest.fixture(autouse=True)
def any_length(monkeypatch):
    """Runs of any length may use the native engine."""
    monkeypatch.setattr("dstbench.training.engines.choose.MIN_TRAINING_MACS", 0)


@pytest.fixture
def double(monkeypatch):
    monkeypatch.setattr("dstbench.native.network.NativeNetwork", NativeDouble)


def record_in(runs):
    (path,) = runs.glob("*/record.json")
    return json.loads(path.read_text())


def test_native_and_torch_give_the_same_run_and_each_is_recorded(tmp_path, call, double):
    outcomes, records = {}, {}
    for engine in ("torch", "native"):
        runs = tmp_path / engine
        code, _, errors = call(*RIGL, "--engine", engine, "--runs", str(runs))
        assert code == 0, errors
        outcomes[engine], records[engine] = killing.outcome(runs), record_in(runs)
    for part in ("config", "accuracy", "predictions", "network", "sparsity"):
        assert outcomes["torch"]["record"][part] == outcomes["native"]["record"][part]
    torch_steps = records["torch"]["provenance"]["engine_steps"]
    steps = records["native"]["provenance"]["engine_steps"]
    assert steps["native"] > steps["torch"] > 0
    assert torch_steps == {"torch": sum(steps.values())}
    (session,) = records["native"]["provenance"]["history"]
    assert session["engine"] == "native" and session["engine_steps"] == steps
    for record in records.values():
        assert not [problem for problem in inconsistencies(record) if "engine" in problem]
    # Health through torch after the last epoch only; live gradients after each one.
    native, plain = outcomes["native"]["curves"], outcomes["torch"]["curves"]
    assert [line["grad_norm"] is None for line in native] == [True, True, False]
    assert "measured every 10 epochs" in native[0]["grad_norm_reason"]
    assert all(line["batch_grad_norm_live"] > 0 for line in native)
    for one, other in zip(native, plain, strict=True):
        same = ("live_path_share", "sparsity", "exploration", "layers_live", "val_loss")
        assert all(one[key] == other[key] for key in same)
    assert not any("batch_grad_norm_live" in line or "health_images" in line for line in plain)


def test_torch_trains_and_measures_health_without_zero_channels(tmp_path, call, monkeypatch):
    counts, phase = {"steps": 0, "health": 0}, ["steps"]
    measured = health._gradients

    def convolve(*args, **kwargs):
        counts[phase[0]] += 1  # and torch's own convolution follows

    def gradients(*args):
        phase[0] = "health"
        found = measured(*args)
        phase[0] = "steps"
        return found

    monkeypatch.setattr(live_convolutions, "_convolve", convolve)
    monkeypatch.setattr(health, "_gradients", gradients)
    code, _, errors = call(*RIGL, "--engine", "torch", "--runs", str(tmp_path))
    assert code == 0, errors
    assert counts["steps"] > counts["health"] > 0


@pytest.mark.slow
def test_run_resumes_with_another_engine(tmp_path, call, double, monkeypatch):
    command = (*RIGL, "--runs", str(tmp_path / "both"), "--checkpoint-seconds", "0.0001")
    after_epoch = trainer.Trainer._after_epoch

    def stop(self, state):
        after_epoch(self, state)
        self.stop.received = 15

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_after_epoch", stop)
        assert call(*command, "--engine", "native")[0] == 143
    code, _, errors = call(*command, "--engine", "torch")
    assert code == 0 and "engine native → torch" in errors
    provenance = record_in(tmp_path / "both")["provenance"]
    first, second = provenance["history"]
    assert (first["engine"], second["engine"]) == ("native", "torch")
    assert set(second["engine_steps"]) == {"torch"}
    steps = {
        name: first["engine_steps"].get(name, 0) + second["engine_steps"].get(name, 0)
        for name in ("torch", "native")
    }
    assert provenance["engine_steps"] == steps
    assert call(*RIGL, "--engine", "torch", "--runs", str(tmp_path / "one"))[0] == 0
    one, other = killing.outcome(tmp_path / "one"), killing.outcome(tmp_path / "both")
    assert killing.same(one["networks"], other["networks"])


@pytest.mark.parametrize(("first", "threshold"), [("native", 0.0), ("torch", 1.0)])
def test_auto_keeps_the_engine_of_the_session_before(
    tmp_path, call, double, monkeypatch, first, threshold
):
    """The MACs of moved masks may choose another one; a kill must not change the result."""
    command = ("run", "static", "--sparsity", "0.9", *RUN, "--runs", str(tmp_path))
    limit = "dstbench.training.engines.expected_speed.MAX_LIMIT"
    train = trainer.Trainer._train

    def stop_at_once(self):
        self.stop.received = 15
        train(self)

    with monkeypatch.context() as patch:
        patch.setattr(limit, 1 - threshold)
        patch.setattr(trainer.Trainer, "_train", stop_at_once)
        assert call(*command)[0] == 143
    monkeypatch.setattr(limit, threshold)
    code, _, errors = call(*command)
    assert code == 0 and f"Engine: {first}, because" in errors
    history = record_in(tmp_path)["provenance"]["history"]
    assert [session["engine"] for session in history] == [first, first]


def test_run_stopped_after_its_last_step_is_finished_by_the_same_engine(
    tmp_path, call, double, monkeypatch
):
    command = (*RIGL, "--engine", "native", "--runs", str(tmp_path))
    train = trainer.Trainer._train

    def train_and_stop(self):
        train(self)
        raise trainer.Interrupted(15)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_train", train_and_stop)
        assert call(*command)[0] == 143
    code, _, errors = call(*command)
    assert code == 0, errors
    assert record_in(tmp_path)["status"] == "finished"


@pytest.mark.parametrize(
    "files, further, reason",
    [
        (("dense",), (), "has no masks"),
        (("rigl",), ("--set", "precision='bf16'"), "computes in fp32"),
        (("rigl",), (), "is not supported"),
        (("static",), ("--set", "Run.optimizer=@TorchOptimizer()", "--set",
          "TorchOptimizer.name='AdamW'", "--set", "TorchOptimizer.lr=0.01"), "dense gradients"),
        (("rigl_clip",), (), "GradientClip may read (with GradientClip.over = 'live' it does not)"),
    ],
)  # fmt: skip
def test_native_refuses_what_can_never_be_compiled(
    tmp_path, call, double, monkeypatch, files, further, reason
):
    if reason == "is not supported":
        monkeypatch.setattr(torch.nn.ReLU, "refused", True, raising=False)
    given = ("run", *files, *RUN, *further, "--engine", "native", "--runs", str(tmp_path))
    code, _, errors = call(*given)
    assert code == 2 and reason in errors and "Run.engine = 'native'" in errors
    assert not [*tmp_path.glob("*/record.json")] and not [*tmp_path.glob("*/*.pt")]
    code, _, errors = call(*given[:-4], "--engine", "auto", "--runs", str(tmp_path))
    assert code == 0 and "Engine: torch, because" in errors


def test_auto_takes_native_below_its_threshold(tmp_path, call, double):
    code, _, errors = call("run", "static", "--sparsity", "0.5", *RUN, "--runs", str(tmp_path))
    assert code == 0 and "Engine: torch, because" in errors and "below 40 %" in errors
    code, _, errors = call("run", "static", "--sparsity", "0.995", *RUN, "--runs", str(tmp_path))
    assert code == 0 and "Engine: native, because" in errors


def test_steps_of_a_network_that_becomes_sparse_turn_native(tmp_path, call, double):
    given = ("run", "gmp", "--sparsity", "0.99", *RUN, "--runs", str(tmp_path))
    code, _, errors = call(*given)
    assert code == 0, errors
    assert "Engine: native while less than 40 %" in errors
    assert "Steps run through torch for now: 40 % or more of the dense network's MACs" in errors
    steps = record_in(tmp_path)["provenance"]["engine_steps"]
    assert steps["native"] > 0 and steps["torch"] > 0
    code, _, errors = call(*given[:3], "0.5", *RUN, "--runs", str(tmp_path / "other"))
    assert code == 0 and "Engine: torch, because the network ends with 50 %" in errors


def test_auto_runs_short_runs_with_torch(tmp_path, call, double, monkeypatch):
    monkeypatch.setattr("dstbench.training.engines.choose.MIN_TRAINING_MACS", 1e12)
    given = ("run", "static", "--sparsity", "0.995", *RUN, "--runs", str(tmp_path))
    code, _, errors = call(*given)
    assert code == 0 and "Engine: torch, because the run is short" in errors


class Refused:
    """An attribute that a DyReLU has until it is plain."""

    def __get__(self, module, owner):
        if module is not None and module.phase == "plain":
            raise AttributeError
        return True


def test_network_that_can_be_compiled_after_a_phase_is_taken(tmp_path, call, double, monkeypatch):
    monkeypatch.setattr(DyReLU, "refused", Refused(), raising=False)
    code, _, errors = call(
        "run", "rigl_dyrelu", "--sparsity", "0.9", *RUN, "--engine", "native", "--runs",
        str(tmp_path), "--set", "GradientClip.over='live'",
    )  # fmt: skip
    assert code == 0 and "Steps run through torch for now: DyReLU is not supported." in errors
    assert set(record_in(tmp_path)["provenance"]["engine_steps"]) == {"torch", "native"}


def test_engine_is_no_part_of_the_identity(tmp_path, call, double):
    for engine in ("torch", "native"):
        setting = ("--set", f"Run.engine='{engine}'", "--set", "Run.dense_health_every=1")
        code, _, errors = call("run", "static", *RUN, *setting, "--runs", str(tmp_path))
        assert code == 0, errors
    assert "This run is done already" in errors
    assert "engine" not in record_in(tmp_path)["config"]["text"]


def test_without_the_native_engine_auto_runs_torch(tmp_path, call, monkeypatch):
    from dstbench.graph.unsupported import Unsupported

    def refuse(*_):
        raise Unsupported("nothing can be compiled here")

    monkeypatch.setattr(NativeNetwork, "__init__", refuse)
    code, _, errors = call("run", "static", "--sparsity", "0.995", *RUN, "--runs", str(tmp_path))
    assert code == 0 and "Engine: torch, because this network cannot be compiled" in errors


@pytest.mark.parametrize(
    "parts, precision, least, name",
    [
        ([ERK(0.995)], "fp32", 0, "native"),
        ([ERK(0.95)], "fp32", 0, "native"),  # 6 % of the MACs
        ([ERK(0.995)], "fp32", 1e12, "torch"),  # over in a moment
        ([ERK(0.995)], "bf16", 0, "torch"),
        ([ERK(0.5)], "fp32", 0, "torch"),
        ([], "fp32", 0, "torch"),
    ],
)
def test_evaluation_takes_native_where_it_saves_time(
    parts, precision, least, name, double, monkeypatch
):
    monkeypatch.setattr("dstbench.training.engines.choose.MIN_EVALUATION_MACS", least)
    _, state = started(tiny_resnet(), parts)
    engine = evaluation_engine(state, precision, images=100)
    assert engine.name == name
    x = torch.randn(3, *IMAGE)
    expected = TorchEngine(state.model, autocast_for(precision, torch.device("cpu"))).logits(x)
    assert torch.equal(engine.logits(x), expected)


def test_run_is_evaluated_by_its_engine(tmp_path, call, double, monkeypatch):
    """The final test images too: on a wide network, torch takes longer than the last epochs."""

    def refuse(self, images):
        raise AssertionError("evaluated through torch")

    monkeypatch.setattr(TorchEngine, "logits", refuse)
    code, _, errors = call(*RIGL, "--engine", "native", "--runs", str(tmp_path))
    assert code == 0, errors


def test_without_numba_auto_runs_torch_and_native_is_refused(tmp_path, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr("dstbench.training.engines.choose.MIN_EVALUATION_MACS", 0)
    given = ("run", "static", "--sparsity", "0.995", *RUN, "--runs", str(tmp_path))
    code, _, errors = call(*given, "--engine", "native")
    assert code == 2 and "needs numba (pip install 'dstbench[native]')" in errors
    code, _, errors = call(*given)
    assert code == 0 and "Engine: torch, because the native engine needs numba" in errors
    _, state = started(tiny_resnet(), [ERK(0.995)])
    assert evaluation_engine(state, "fp32", images=100).name == "torch"
