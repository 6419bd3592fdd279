"""The data-parallel wrapper of a method forwards every hook."""

import inspect

from dstbench.core.budgets import ERK
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.methods.rigl import RigL
from dstbench.training.distributed.data_parallel import DataParallelMethod
from dstbench.training.distributed.process_group import ALONE


def test_data_parallel_method_forwards_every_hook_and_property():
    public = {
        name
        for name, value in vars(Part).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }
    assert public <= vars(DataParallelMethod).keys()


def test_data_parallel_method_has_the_declarations_of_its_method():
    method = Method("m", [ERK(0.8), RigL(update_interval=5)])
    wrapped = DataParallelMethod(method, ALONE, lambda step: 1.0)
    for name in ("sparsity", "moves_masks", "needs_budget", "initialises_masks", "budget"):
        assert getattr(wrapped, name) == getattr(method, name)
    assert wrapped.final_structure_step(100) == method.final_structure_step(100)
