"""What the tests of `dstbench verify` begin with."""

import copy

import pytest
from helpers.recomputable import made


@pytest.fixture
def honest():
    """A record that can be recomputed, to be spoiled."""
    return copy.deepcopy(made()[0])
