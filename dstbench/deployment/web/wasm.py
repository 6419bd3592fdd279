"""A compiled network's C code as WebAssembly, by the compiler that is installed: Zig's, or clang.

Every plane has memory of its own, so that a page can show all of them.
"""

import tempfile
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from pathlib import Path

from dstbench.deployment.c_export.c_source import c_source
from dstbench.deployment.c_export.plan import Plan
from dstbench.deployment.c_export.plane_graph import plane_graph
from dstbench.deployment.c_export.toolchain import Compiler, wasm32_compiler
from dstbench.deployment.runtime.program import Program
from dstbench.errors import UserError

_OPTIONS = (
    *("-std=c99", "-O3", "-msimd128", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry"),
    *("-Wl,--strip-all", "-Wl,-z,stack-size=65536"),
)


@dataclass(frozen=True)
class WebAssembly:
    """A network as WebAssembly.

    module: its bytes; `web.c` says what they export.
    starts: plane → its first pixel, from the address of all planes. Planes that the logits do not
        need are missing.
    pixels: of all planes.
    """

    module: bytes
    starts: dict[int, int]
    pixels: int


def web_assembly(program: Program) -> WebAssembly:
    """Return a program as WebAssembly.

    Raises UserError: when no compiler is installed, or it fails, or the program cannot be C.
    """
    wasm32 = compiler()
    plan = _everything_kept(program)
    source = c_source(program, plan)
    with tempfile.TemporaryDirectory() as folder:
        source.write_to(Path(folder))
        Path(folder, "web.c").write_bytes(files(__package__).joinpath("web.c").read_bytes())
        arguments = [*_OPTIONS, "-o", "network.wasm", "web.c"]
        complaint = wasm32.complaint(arguments, Path(folder))
        if complaint is not None:
            raise UserError(
                f"{wasm32.name} does not compile the network to WebAssembly: {complaint}"
            )
        return WebAssembly(Path(folder, "network.wasm").read_bytes(), plan.starts, plan.pixels)


def compiler() -> Compiler:
    """Return a C compiler for WebAssembly.

    Raises UserError: when none is installed.
    """
    if (found := wasm32_compiler()) is not None:
        return found
    raise UserError(
        "A web page needs a C compiler for WebAssembly, and none is installed: "
        "pip install ziglang (or install clang and lld)."
    )


def _everything_kept(program: Program) -> Plan:
    """Return a plan in which no two planes share memory, in the program's order."""
    graph = plane_graph(program)
    pixels = [graph.pixels[plane] for plane in graph.planes]
    total = sum(pixels)
    starts = dict(zip(graph.planes, accumulate(pixels, initial=0), strict=False))
    return Plan(graph.planes, starts, total, total, int(program.sizes()[:, 1].max()))
