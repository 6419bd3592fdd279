"""Networks as C: compiled, called from Python, and run as programs."""

import shutil
import subprocess

import numpy as np
import pytest

from dstbench.deployment.c_export.assemble import CSource
from dstbench.deployment.c_export.calibration import ranges
from dstbench.deployment.c_export.int8_source import int8_source
from dstbench.deployment.c_export.plan import plan_of
from dstbench.deployment.c_export.quantisation import quantised
from dstbench.deployment.c_export.shared_library import SharedLibrary
from dstbench.deployment.c_export.toolchain import host_compiler

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")


def described(channels=3, classes=3):
    """Return the description that C needs."""
    return {
        "classes": [f"class {n}" for n in range(classes)],
        "mean": [0.5, 0.4, 0.3][:channels],
        "std": [0.2, 0.3, 0.4][:channels],
    }


def int8_of(program, images):
    """Return (plan, int8 network, its source), calibrated on float32 images."""
    plan = plan_of(program)
    numbers = quantised(program, *ranges(program, plan.order, images))
    return plan, numbers, int8_source(program, plan, numbers)


def library(source: CSource, *defines: str) -> SharedLibrary:
    """Return a network compiled for this machine; skips a test without a compiler."""
    if (compiler := host_compiler()) is None:
        pytest.skip("needs a C compiler")
    return SharedLibrary(source, compiler, defines)


def build(source: CSource, folder, compiler: str, *options: str):
    """Compile the self-test with warnings as errors; return the program's path."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source.write_to(folder)
    program = folder / "program"
    command = [compiler, *WARNINGS, "-DDST_SELF_TEST", *options, "network.c", "-o", str(program)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def random_bytes(count, image):
    channels, height, width = image
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, height, width, channels), np.uint8)
