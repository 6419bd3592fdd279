"""Part: every hook does nothing until a subclass overrides it."""

import inspect

import torch

from dstbench.core.part import Part
from dstbench.core.state import State

HOOKS = ["surgery", "init_masks", "before_step", "after_backward", "after_step", "finish"]


def test_part_hooks_do_nothing_by_default(small_net):
    state = State(small_net(), (3, 8, 8), 0, 40)
    before = [value.clone() for value in state.model.state_dict().values()]
    for hook in HOOKS:
        getattr(Part(), hook)(state)
    Part().check(10)
    assert all(map(torch.equal, state.model.state_dict().values(), before))
    assert not state.masks and state.optimizer is None


def test_part_values_are_those_of_a_dense_network():
    part = Part()
    assert part.sparsity == 0 and part.budget is None and part.final_structure_step(10) == 0
    assert not part.initialises_masks and not part.moves_masks and not part.needs_budget


def test_part_declares_hooks_in_the_order_of_a_run():
    functions = [name for name, value in vars(Part).items() if inspect.isfunction(value)]
    assert [name for name in functions if name in HOOKS] == HOOKS
