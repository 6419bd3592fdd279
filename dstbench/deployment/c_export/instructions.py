"""Instructions that a network's C takes for one image, counted in an emulated Cortex-M4."""

import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from dstbench.deployment.c_export.assemble import SOURCE, CSource
from dstbench.deployment.c_export.toolchain import cortex_m4_compiler

_LAYOUT = ("-Wl,--section-start=.vectors=0", "-Wl,-Tdata=0x20000000")
_BOARD = ("-M", "mps2-an386", "-nographic", "-semihosting", "-icount", "shift=0")
_TIMEOUT_S = 60
_MOST = 600_000_000  # the board's timer counts little more


def instructions(source: CSource) -> int | None:
    """Return the instructions of one black image at -O2; they are not cycles.

    None without arm-none-eabi-gcc, its newlib and qemu-system-arm, and for a network that the
    board's memory or timer is too small for.
    """
    compiler, emulator = cortex_m4_compiler(), shutil.which("qemu-system-arm")
    if compiler is None or compiler.name != "arm-none-eabi-gcc" or emulator is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source.write_to(folder)
        (folder / "main.c").write_bytes(files(__package__).joinpath("instructions.c").read_bytes())
        options = ["-std=c99", "-O2", "--specs=rdimon.specs", *_LAYOUT]
        command = [*compiler.command, *options, SOURCE, "main.c", "-o", "program"]
        counted = _output(command, folder) is not None and _output(
            [emulator, *_BOARD, "-kernel", "program"], folder
        )
    return int(counted) if counted and int(counted) < _MOST else None


def _output(command: list[str], folder: Path) -> str | None:
    """Return what a command prints; None where it fails or does not end."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else done.stdout
