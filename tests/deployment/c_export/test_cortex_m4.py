"""The C runs on an emulated Cortex-M4, and its footprint is that of the linker."""

import shutil
import subprocess
from pathlib import Path

import helpers
import pytest
from helpers.c_networks import CORTEX_M4, build, described, int8_of
from helpers.deploy_networks import IMAGE, noise, random_net

from dstbench.deployment.c_export.c_source import c_source
from dstbench.deployment.c_export.footprint import footprint, limits_exceeded
from dstbench.deployment.c_export.instructions import instructions
from dstbench.deployment.c_export.toolchain import cortex_m4_compiler
from dstbench.deployment.compiler.compile import compile_network

START = Path(helpers.__path__[0]) / "cortex_m4.c"
LAYOUT = ("-Wl,--section-start=.vectors=0", "-Wl,-Tdata=0x20000000")


@pytest.fixture(scope="module")
def sources():
    program = compile_network(random_net(0, pool="max"), IMAGE, described())
    return {"float32": c_source(program), "int8": int8_of(program, noise(32).numpy())[2]}


@pytest.mark.parametrize("arithmetic", ["float32", "int8"])
def test_self_test_passes_on_an_emulated_cortex_m4(sources, tmp_path, arithmetic):
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("needs qemu-system-arm")
    options = ("-Os", *CORTEX_M4, "--specs=rdimon.specs", *LAYOUT, str(START))
    program = build(sources[arithmetic], tmp_path, "arm-none-eabi-gcc", *options)
    board = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting"]
    done = subprocess.run([*board, "-kernel", program], capture_output=True, timeout=60)
    assert done.returncode == 0 and b"largest difference" in done.stdout, done


def test_footprint_is_what_size_prints(sources, tmp_path):
    if shutil.which("arm-none-eabi-size") is None:
        pytest.skip("needs arm-none-eabi-size")
    compiler = cortex_m4_compiler()
    found = footprint(sources["float32"], compiler)
    options = ("-UDST_SELF_TEST", "-Os", *CORTEX_M4, "-c")
    program = build(sources["float32"], tmp_path, "arm-none-eabi-gcc", *options)
    printed = subprocess.run(["arm-none-eabi-size", program], capture_output=True, text=True)
    text, data, bss = map(int, printed.stdout.splitlines()[1].split()[:3])
    assert (found.flash, found.ram) == (text + data, data + bss)
    assert sources["float32"].flash_bytes < found.flash
    assert sources["float32"].arena_bytes <= found.ram < sources["float32"].arena_bytes + 16
    assert found.stack is None or 0 < found.stack < 1000


def test_instructions_are_those_of_the_network(sources):
    if not all(map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm"))):
        pytest.skip("needs arm-none-eabi-gcc and qemu-system-arm")
    counted = instructions(sources["float32"])
    assert counted > sources["float32"].macs
    assert counted == instructions(sources["float32"])  # of one machine, whatever its load


def test_limits_name_what_does_not_fit(sources):
    if (compiler := cortex_m4_compiler()) is None:
        pytest.skip("needs a compiler for Cortex-M4")
    small = footprint(sources["int8"], compiler)
    assert limits_exceeded(small) == []
    from dataclasses import replace

    (line,) = limits_exceeded(replace(small, ram=300_000))
    assert line.endswith("bytes of RAM where there are 262,144")
