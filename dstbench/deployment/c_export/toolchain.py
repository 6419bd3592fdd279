"""The C compilers of this machine."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CORTEX_M4 = (
    ("arm-none-eabi-gcc", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    ("ziglang", ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp")),
)
_WASM32 = (
    ("ziglang", ("-target", "wasm32-freestanding")),
    ("clang", ("--target=wasm32", "-ffreestanding")),  # with LLVM's linker
)


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    name: for users.
    command: its words, to be followed by options and files.
    """

    name: str
    command: tuple[str, ...]

    def complaint(self, arguments: Iterable[str], folder: Path) -> str | None:
        """Compile, and return in one line why it failed; None where it did not.

        arguments: options and files.
        folder: where it runs.
        """
        command = [*self.command, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode == 0:
            return None
        lines = done.stderr.split("\n")
        errors = [line for line in lines if "error" in line.lower() and not line.startswith(" ")]
        return (errors or lines)[0].strip() or f"exit code {done.returncode}"


def host_compiler() -> Compiler | None:
    """Return a compiler for this machine; None where there is none."""
    return next(filter(None, map(_found, ("cc", "gcc", "clang", "ziglang"))), None)


def cortex_m4_compiler() -> Compiler | None:
    """Return a compiler for an Arm Cortex-M4 with its FPU; None where there is none."""
    return _first(_CORTEX_M4)


def wasm32_compiler() -> Compiler | None:
    """Return a compiler for WebAssembly without a system; None where there is none."""
    linker = shutil.which("wasm-ld") is not None
    return _first([(name, options) for name, options in _WASM32 if name != "clang" or linker])


def _first(targets: Iterable[tuple[str, tuple[str, ...]]]) -> Compiler | None:
    """Return the first compiler that is there, of names and the options of a target."""
    for name, options in targets:
        if (compiler := _found(name)) is not None:
            return Compiler(name, (*compiler.command, *options))
    return None


def _found(name: str) -> Compiler | None:
    if name == "ziglang":  # a Python package
        if not _has_zig():
            return None
        return Compiler(name, (sys.executable, "-P", "-m", name, "cc"))
    path = shutil.which(name)
    return None if path is None else Compiler(name, (path,))


def _has_zig() -> bool:
    return importlib.util.find_spec("ziglang") is not None
