"""Every shipped method on real digits at 90 %, and at 99.99 %, where a layer may keep one weight.

The conformance suite tests the methods at 90 % on generated images.
"""

import io
import json
import math

import pytest
import torch

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.conformance.trial import (
    BATCH,
    EPOCHS,
    INTERVAL,
    advance,
    initial_state,
    interval_bindings,
    no_op,
    parts_of,
    state_without_masks,
)
from dstbench.methods.cyclic import Cyclic
from dstbench.sparsity import live_total
from dstbench.training.configure import assemble

pytestmark = pytest.mark.slow
METHODS = {name: str(path) for name, path in shipped("methods").items()}
EXTREME = 0.9999
# no dense network of the family is as small; two dense layers have more weights
NOT_EXTREME = {"small_dense", "acdc_uniform"}
WIDTH = 20  # ResNet-20 has 422,440 prunable weights then: 42 live ones for its 22 tensors


def intervals(file, recipe, interval):
    """Bindings that let masks move within a short run, for parts that count optimizer steps."""
    run, _ = assemble(Choices((file,), recipe), "fp32")
    return interval_bindings(run.method, interval)


# --- 90 % on digits -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_method_trains_on_digits_at_ninety_percent(method, call, tmp_path):
    short = ("ResNet20.width = 4", "Run.epochs = 2", "Run.train_images = 400")
    bindings = (*short, *intervals(METHODS[method], "digits", 2))
    code, _, err = call(
        "run", METHODS[method], *(word for binding in bindings for word in ("--set", binding)),
        *([] if method == "dense" else ["--sparsity", "0.9"]),
        "--runs", str(tmp_path), "--tracking", "off", "--threads", "1", "--quiet",
    )  # fmt: skip
    assert code == 0, err
    folder = next(tmp_path.iterdir())
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "finished"
    prunable = record["cost"]["prunable_weights"]
    sparsity = 0.0 if method == "dense" else 0.9
    live, budget = record["cost"]["live_weights"], live_total(sparsity, prunable)
    assert live == budget or (
        method == "small_dense" and 0.5 * budget < live < budget
    )  # whole widths
    curves = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    assert len(curves) == 2
    losses = [line[key] for line in curves for key in line if key.endswith("loss")]
    assert len(losses) >= 4 and all(math.isfinite(loss) for loss in losses)


# --- 99.99 % --------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "extreme.gin"
    path.write_text(f"include 'conformance.gin'\nsparsity = {EXTREME}\nResNet20.width = {WIDTH}\n")
    return str(path)


def extreme(method, recipe):
    """The run of a method at 99.99 %."""
    file = METHODS[method]
    sets = (f"Run.epochs = {EPOCHS}", f"Run.batch_size = {BATCH}",
            *intervals(file, recipe, INTERVAL))  # fmt: skip
    return assemble(Choices((file,), recipe, (), sets), "fp32")[0]


def checkpoint(state):
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


class Budget:
    """Checks the live weights of a run after every step: those of s_max, or of its cycle.

    Those of a dense-to-sparse method may be more, until its structure is final.
    """

    def __init__(self, run, state):
        self.cycle = next((part for part in parts_of(run.method) if isinstance(part, Cyclic)), None)
        self.asked = live_total(run.method.sparsity, state.dense_numel)
        self.wanted = self.most = self.asked
        self.may_exceed = run.method.dense_to_sparse
        self.final_step = run.method.final_structure_step(state.total_steps)

    def look(self, state):
        if self.cycle and self.cycle.is_due(state.step, state.total_steps):
            sparsity = self.cycle.sparsity_at(state.step, state.total_steps)
            self.wanted = live_total(sparsity, state.dense_numel)
        self.most = max(self.most, self.wanted)
        live = state.masks.total()
        may_exceed = self.may_exceed and state.step < self.final_step
        assert live == self.wanted or (may_exceed and live > self.wanted), f"step {state.step}"
        assert all(p.isfinite().all() for p in state.model.parameters())


@pytest.mark.parametrize("method", sorted(METHODS.keys() - NOT_EXTREME))
def test_method_keeps_its_budget_and_resumes_at_extreme_sparsity(method, recipe):
    run = extreme(method, recipe)
    batches, state = initial_state(run)
    budget, saved = Budget(run, state), []
    middle = state.total_steps // 2 - 1  # and in the middle of an epoch

    def look(state):
        budget.look(state)
        if state.step == middle:
            saved.append(checkpoint(state))

    assert budget.may_exceed or state.masks.total() == budget.asked
    advance(run, batches, state, state.total_steps, look)
    assert state.step == state.total_steps and state.masks.total() == budget.asked
    assert (budget.most > budget.asked) == bool(budget.cycle)

    again = extreme(method, recipe)
    batches, other = state_without_masks(again)
    other.load_state_dict(saved[0], again.optimizer.build)
    assert other.step == middle
    advance(again, batches, other, other.total_steps, no_op)
    run.method.finish(state)
    again.method.finish(other)
    assert state.masks.total() == other.masks.total() == budget.asked
    theirs = other.model.state_dict()
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    for name, mask in state.masks.items():
        assert torch.equal(mask, other.masks[name]), name
    with torch.no_grad():
        assert state.model.eval()(batches.at(0)[0]).isfinite().all()
