"""The suite's methods add no weight that the sparsity does not cover."""

import pytest
import torch

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.core.prunable import unpruned
from dstbench.training.build import finalize, new_state
from dstbench.training.configure import assemble


@pytest.mark.parametrize("method", shipped("methods"))
def test_unpruned_of_a_suite_method_is_empty(method):
    axes = () if method == "dense" else (("sparsity", 0.9),)
    run, _ = assemble(Choices((f"methods/{method}.gin",), "cifar10_tiny", axes), "fp32")
    state = new_state(run, 10, (3, 32, 32), 100, torch.device("meta"))
    assert unpruned(state.model).sizes == {}
    finalize(run.method, state)  # refuses training-only parameters that are left
