"""Method: hooks in order, values taken from its parts, combinations that are refused."""

import inspect

import pytest

from dstbench.core.budgets import EPL, ERK
from dstbench.core.drop_grow import DropGrow
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.errors import UserError


class Churn(DropGrow):
    """Swaps half of every layer at every step, at random."""

    def __init__(self):
        super().__init__(drop_fraction=0.5, update_interval=1)

    def grow_score(self, state, name):
        return None


HOOKS = ["surgery", "init_masks", "before_step", "after_backward", "after_step", "finish"]


def recorder(name, calls):
    """A part that writes down which of its hooks is called; it chooses no masks."""
    hooks = {h: lambda self, state, h=h: calls.append((name, h)) for h in HOOKS}
    hooks["initialises_masks"] = False
    return type(name, (Part,), hooks)()


def test_method_calls_hooks_of_its_parts_in_order():
    calls = []
    method = Method("outer", [recorder("A", calls), Method("inner", [recorder("B", calls)])])
    for hook in HOOKS:
        getattr(method, hook)(None)
    assert calls == [(part, hook) for hook in HOOKS for part in "AB"]


def test_method_has_every_hook_and_declaration_of_a_part():
    public = {name: value for name, value in vars(Part).items() if not name.startswith("_")}
    hooks = {n for n, v in public.items() if inspect.isfunction(v) or isinstance(v, property)}
    assert hooks <= vars(Method).keys()
    declared = public.keys() - hooks - {"conflicts"}  # a pair of parts has these, not a method
    assert declared <= vars(Method("m", [ERK(0.5)])).keys()


def test_method_has_sparsity_and_budget_of_its_parts():
    budget = ERK(0.9)
    method = Method("RigL", [budget, Churn()])
    assert method.sparsity == 0.9 and method.budget is budget and method.initialises_masks
    outer = Method("outer", [method])
    assert outer.sparsity == 0.9 and outer.budget is budget and outer.initialises_masks
    dense = Method("Dense")
    assert dense.sparsity == 0 and dense.budget is None and not dense.initialises_masks


def test_method_checks_and_final_structure_step_cover_all_parts():
    class Late(Part):
        def final_structure_step(self, total_steps):
            return total_steps // 2

    method = Method("m", [ERK(0.5), Late(), Part()])
    assert method.final_structure_step(100) == 50 and Method("dense").final_structure_step(100) == 0
    with pytest.raises(UserError, match="never update"):
        Method("outer", [ERK(0.5), Method("inner", [Part()]), Churn()]).check(1)


@pytest.mark.parametrize(
    "parts", [[ERK(0.5), EPL(0.5)], [ERK(0.5), Churn(), ERK(0.5)], [Method("i", [ERK(0)]), EPL(0)]]
)
def test_method_refuses_two_parts_that_initialise_masks(parts):
    with pytest.raises(UserError, match="both initialise the masks") as error:
        Method("m", parts)
    assert error.value.binding == "Method.parts"


def test_method_refuses_moving_masks_that_no_part_initialises():
    with pytest.raises(UserError, match="Churn moves masks, but no part initialises them"):
        Method("m", [Part(), Churn()])


@pytest.mark.parametrize("part", [ERK, "ERK", None, 3])
def test_method_refuses_what_is_not_a_part(part):
    with pytest.raises(UserError, match="which is no part") as error:
        Method("m", [part])
    assert error.value.binding == "Method.parts"


def test_parts_change_the_learning_rate_schedule_in_order():
    class Halves(Part):
        def lr_schedule(self, of):
            return lambda progress: of(progress) / 2

    class Squares(Part):
        def lr_schedule(self, of):
            return lambda progress: of(progress) ** 2

    def schedule(progress):
        return 6 * progress

    assert Method("X").lr_schedule(schedule) is schedule
    assert Method("X", [Part(), Halves(), Squares()]).lr_schedule(schedule)(1.0) == 9
