"""Every shipped method keeps what every method must; the suite notices one that does not."""

import pytest

from dstbench.config.shipped import shipped
from dstbench.conformance import CHECKS, OPTIMIZERS, Trial, run_checks

METHODS = [str(path) for path in shipped("methods").values()]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("file", METHODS, ids=shipped("methods"))
def test_method(file, check, optimizer):
    check(Trial(file), optimizer)


def test_a_method_that_overspends_and_keeps_state_is_caught(tmp_path):
    (tmp_path / "greedy.py").write_text(
        '''
import torch
from dstbench.part import Part
from dstbench.registry import register


@register("parts")
class Greedy(Part):
    """Adds a live weight at every step, and remembers the step outside the State."""

    moves_masks = True

    def __init__(self):
        self.seen = 0

    def after_step(self, state):
        self.seen += 1
        name = next(iter(state.masks))
        free = (~state.masks[name]).permute(0, 2, 3, 1).reshape(-1).nonzero().view(-1)[:1]
        state.set_live_(name, torch.cat([state.masks.index(name), free]))
'''
    )
    (tmp_path / "greedy.gin").write_text(
        "Run.method = @Method()\nMethod.name = 'Greedy'\n"
        "Method.parts = [@ERK(), @Greedy()]\nERK.sparsity = %sparsity\n"
    )
    results = {
        r.name: r for r in run_checks(str(tmp_path / "greedy.gin"), (tmp_path / "greedy.py",))
    }
    assert not results["the budget is exact (SGD)"].passed
    assert "asked" in results["the budget is exact (SGD)"].detail
    assert not results["parts hold settings only (Adam)"].passed
    assert results["the same seed gives the same run (SGD)"].passed
