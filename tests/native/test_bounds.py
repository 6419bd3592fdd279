"""Kernels index no table outside its bounds: they are compiled anew with numba's bounds checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKED = """
import numpy as np
import torch
from helpers.random_networks import cases
from hypothesis import HealthCheck, given, settings
from numba import njit

from dstbench.native.constants import OPTIONS
from dstbench.native.network import NativeNetwork


@njit(**OPTIONS)
def beyond(array):
    return array[len(array)]


@njit
def call(array):  # kernels are called by compiled functions only
    return beyond(array)


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(cases())
def check(case):
    network = NativeNetwork(case.model, case.masks, case.image_shape, dtype=torch.float64)
    network.forward_backward(case.images, case.labels)
    network.logits(case.images)


try:
    call(np.zeros(3))
except IndexError:
    check()
    print("checked")
"""


def test_kernels_stay_within_their_tables(tmp_path):
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),  # apart from the kernels without checks
        "PYTHONPATH": os.pathsep.join((tests, os.environ.get("PYTHONPATH", ""))),
    }
    done = subprocess.run(
        [sys.executable, "-c", CHECKED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.split() == ["checked"], done.stderr
