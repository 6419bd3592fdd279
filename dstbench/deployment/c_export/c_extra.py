"""The files that `dstbench deploy --c` adds: a network as C99, in two arithmetics."""

from typing import TYPE_CHECKING

from dstbench.data.loaders import DataLoaders
from dstbench.deployment.c_export.assemble import HEADER, CSource
from dstbench.deployment.c_export.c_images import accuracy_on_test, calibration_images, loaders_of
from dstbench.deployment.c_export.c_source import c_source
from dstbench.deployment.c_export.calibration import ranges
from dstbench.deployment.c_export.footprint import (
    FLASH,
    RAM,
    Footprint,
    footprint,
    limits_exceeded,
)
from dstbench.deployment.c_export.instructions import instructions
from dstbench.deployment.c_export.int8_source import int8_source
from dstbench.deployment.c_export.plan import plan_of
from dstbench.deployment.c_export.quantisation import quantised
from dstbench.deployment.c_export.shared_library import SharedLibrary
from dstbench.deployment.c_export.toolchain import cortex_m4_compiler, host_compiler
from dstbench.deployment.extra import Extra, ExtraFiles
from dstbench.deployment.runtime.program import Program
from dstbench.errors import UserError
from dstbench.utils.printable import utf8

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

FLOAT32, INT8 = "network.c", "network_int8.c"


class CExtra(Extra):
    """Writes a network as C99, in float32 and in int8, and measures both."""

    def files(self, program: Program, network: "TrainedNetwork") -> ExtraFiles:
        plan = plan_of(program)
        sources = {FLOAT32: c_source(program, plan)}
        loaders, notes, card, report = None, [], {}, []
        try:
            loaders = loaders_of(network, self.data_root, self.cache)
            low, high = ranges(program, plan.order, calibration_images(loaders))
            sources[INT8] = int8_source(program, plan, quantised(program, low, high))
        except UserError as error:
            left_out = f"left out, as it is calibrated on training images: {error}"
            notes.append(f"{INT8} is {left_out}")
            card[f"`{INT8}`"] = left_out.replace("|", "\\|")
        for name, source in sources.items():
            accuracy = _accuracy(source, loaders, program.classes)
            size, fit = _sizes(source)
            work = _work(source)
            card[f"`{name}`"] = f"test accuracy {accuracy} · {size} · {work}"
            report += [f"{name}: {size} · {work} · {fit}"]
            report += [f"{name}: test accuracy {accuracy}"]
        contents = {HEADER: utf8(sources[FLOAT32].header)}
        contents |= {name: utf8(source.source) for name, source in sources.items()}
        return ExtraFiles(contents, tuple(notes), card, tuple(report))


def _accuracy(source: CSource, loaders: DataLoaders | None, classes: int) -> str:
    """Return the accuracy of the compiled C in words, or why it is not measured."""
    if loaders is None:
        return "not measured: the run's images are not here"
    if (compiler := host_compiler()) is None:
        return "not measured: no C compiler"
    try:
        with SharedLibrary(source, compiler) as library:
            return f"{accuracy_on_test(library, loaders, classes):.2f} %"
    except UserError as error:
        return f"not measured: {error}"


def _work(source: CSource) -> str:
    """Return multiply-adds, and instructions where they can be counted, in words."""
    counted = instructions(source)
    emulated = "" if counted is None else f", {counted:,} instructions (QEMU's Cortex-M4, -O2)"
    return f"{source.macs:,} multiply-adds{emulated}"


def _sizes(source: CSource) -> tuple[str, str]:
    """Return flash and RAM in words, and whether they fit a small microcontroller."""
    target = f"a Cortex-M4 with {RAM // 2**10} KiB RAM and {FLASH // 2**20} MiB flash"
    compiler = cortex_m4_compiler()
    size = footprint(source, compiler) if compiler else None
    if size is None:
        text = (
            f"flash {source.flash_bytes:,} bytes of tables, code not counted (no compiler for a "
            f"Cortex-M4) · RAM {source.arena_bytes:,} bytes, stack not measured"
        )
        return text, f"whether it fits {target} is not known"
    exceeded = limits_exceeded(size)
    fit = f"does not fit {target}: {', '.join(exceeded)}" if exceeded else f"fits {target}"
    return _flash_and_ram(source, size), fit


def _flash_and_ram(source: CSource, size: Footprint) -> str:
    stack = "stack not measured" if size.stack is None else f"at most {size.stack:,} of stack"
    return (
        f"flash {size.flash:,} bytes ({source.flash_bytes:,} of tables; Cortex-M4, "
        f"{size.compiler} -Os) · RAM {size.ram:,} bytes (lower bound of this order of operations "
        f"{source.bound_bytes:,}), {stack}"
    )
