"""Instructions that a network's C takes for one image, counted in an emulated Cortex-M4.

They are not cycles: QEMU does not model time. Up to 671 million can be counted. Needs
arm-none-eabi-gcc with newlib, and qemu-system-arm.

    python benchmarks/c_instructions.py RUN/deployed/network.c RUN/deployed/network_int8.c
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from dstbench.deployment.c_export.toolchain import cortex_m4_compiler

MAIN = Path(__file__).with_suffix(".c")
LAYOUT = ("-Wl,--section-start=.vectors=0", "-Wl,-Tdata=0x20000000")
BOARD = ("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting", "-icount", "shift=0")


def instructions(source: Path, optimisation: str) -> int:
    """Return the instructions of one image, black.

    source: the network's C, beside its header.
    optimisation: the compiler's option.
    """
    compiler = cortex_m4_compiler()
    assert compiler is not None and compiler.name == "arm-none-eabi-gcc"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        options = ["-std=c99", optimisation, "--specs=rdimon.specs", f"-I{source.parent}", *LAYOUT]
        command = [*compiler.command, *options, source, MAIN, "-o", program]
        subprocess.run(command, check=True)
        done = subprocess.run(
            [*BOARD, "-kernel", program], capture_output=True, text=True, check=True
        )
    return int(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path, metavar="NETWORK.c")
    for source in parser.parse_args().sources:
        counts = [f"{o} {instructions(source, o):,}" for o in ("-Os", "-O2", "-O3")]
        print(f"{source}: instructions {' · '.join(counts)}")


if __name__ == "__main__":
    main()
