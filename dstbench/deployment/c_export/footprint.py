"""Flash and RAM that a network's C takes on a Cortex-M4, by compiling it."""

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dstbench.deployment.c_export.assemble import SOURCE, CSource
from dstbench.deployment.c_export.toolchain import Compiler

RAM, FLASH = 256 * 2**10, 2**20  # bytes of the microcontroller that is asked about
_WRITABLE, _ALLOCATED, _NO_BITS = 1, 2, 8  # of an ELF section: two flags, and a type


@dataclass(frozen=True)
class Footprint:
    """Bytes of a network's C on a Cortex-M4.

    flash: code and tables.
    ram: static memory.
    stack: an upper bound, of all its functions together; None where the compiler does not say.
    compiler: its name.
    """

    flash: int
    ram: int
    stack: int | None
    compiler: str


def footprint(source: CSource, compiler: Compiler) -> Footprint | None:
    """Return what a network takes, optimised for size; None where the compiler fails.

    compiler: for a Cortex-M4.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source.write_to(folder)
        options = ["-std=c99", "-Os", "-fstack-usage", "-fno-unwind-tables", "-c"]
        if compiler.complaint([*options, SOURCE, "-o", "network.o"], folder) is not None:
            return None
        usage = folder / "network.su"
        flash, ram = _sections((folder / "network.o").read_bytes())
        stack = None
        if usage.exists():
            lines = usage.read_text(encoding="utf-8").splitlines()
            stack = sum(int(line.split("\t")[1]) for line in lines)
    return Footprint(flash, ram, stack, compiler.name)


def limits_exceeded(footprint: Footprint) -> list[str]:
    """Return what does not fit into a Cortex-M4 with RAM and FLASH, in words; empty if all does."""
    needs = {
        "RAM": (footprint.ram + (footprint.stack or 0), RAM),
        "flash": (footprint.flash, FLASH),
    }
    return [
        f"{need:,} bytes of {name} where there are {there:,}"
        for name, (need, there) in needs.items()
        if need > there
    ]


def _sections(content: bytes) -> tuple[int, int]:
    """Return bytes of flash and of RAM of an object file, little-endian ELF of 32 bits."""
    (start,) = struct.unpack_from("<I", content, 32)
    size, count = struct.unpack_from("<HH", content, 46)
    flash = ram = 0
    for number in range(count):
        fields = struct.unpack_from("<10I", content, start + number * size)
        kind, flags, length = fields[1], fields[2], fields[5]
        if flags & _ALLOCATED:
            flash += 0 if kind == _NO_BITS else length
            ram += length if flags & _WRITABLE else 0
    return flash, ram
