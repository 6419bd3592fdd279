"""Puts the text of a network together: header; tables, interpreter and self-test."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from dstbench.deployment.c_export.plan import Plan
from dstbench.deployment.c_export.tables import Table, c_comment, c_string, float_literal
from dstbench.deployment.runtime.program import Program

HEADER, SOURCE = "network.h", "network.c"


@dataclass(frozen=True)
class CSource:
    """The text of a network in C.

    header: of `network.h`, the same for every arithmetic.
    source: of the `.c` file.
    arena_bytes: static memory: planes, and a row of sums.
    bound_bytes: the same, with the most bytes of planes that are needed at a time in the order that
        was chosen. No arena for this order is smaller.
    flash_bytes: of the constant tables, without code.
    macs: multiply-adds of one image.
    """

    header: str
    source: str
    arena_bytes: int
    bound_bytes: int
    flash_bytes: int
    macs: int

    def write_to(self, folder: Path) -> None:
        """Write both files, as HEADER and SOURCE, for a compiler."""
        (folder / HEADER).write_text(self.header, encoding="utf-8")
        (folder / SOURCE).write_text(self.source, encoding="utf-8")


@dataclass(frozen=True)
class Variant:
    """An arithmetic, and its tables.

    file: the part of the interpreter that is its own.
    pixel, sum: types of C; `bytes` is the size of a pixel.
    tables: all tables.
    observed: tables that only an observer reads.
    expected: logits of the self-test's images, float32 (n, classes).
    tolerance: of them, relative to the largest.
    """

    file: str
    pixel: str
    sum: str
    bytes: int
    tables: Sequence[Table]
    observed: Sequence[Table]
    expected: np.ndarray
    tolerance: float


def assembled(program: Program, plan: Plan, variant: Variant) -> CSource:
    """Return the text of a program."""
    classes = program.about.get("classes") or [str(n) for n in range(program.classes)]
    names = ",\n    ".join(map(c_string, classes))
    planes = f"static {variant.pixel} dst_arena[{max(plan.pixels, 1)}];"
    parts = [
        c_comment(
            f"{variant.pixel} network, made by dstbench deploy --c. Tables first, then their "
            "interpreter. -DDST_SELF_TEST adds a main that checks it, -DDST_OBSERVE dst_activity."
        ),
        f'#include "{HEADER}"\n\n#include <stddef.h>\n',
        f"typedef {variant.pixel} dst_pixel;",
        f"#define DST_STEPS {len(plan.order)}\n",
        *(table.text for table in variant.tables),
        _guarded("DST_OBSERVE", *(table.text for table in variant.observed)),
        _guarded(
            "DST_SELF_TEST",
            f"#define DST_TEST_IMAGES {len(variant.expected)}",
            f"#define DST_TOLERANCE {float_literal(variant.tolerance)}",
            Table("dst_expected", variant.expected).text,
        ),
        f"const char *const dst_classes[DST_CLASSES] = {{\n    {names},\n}};\n",
        f"{planes}\nstatic {variant.sum} dst_sums[{plan.sums}]; /* of a row */\n",
        "".join(_file(name) for name in ("types.c", variant.file, "steps.c", "self_test.c")),
    ]
    return CSource(
        header=_header(program),
        source="\n".join(parts),
        arena_bytes=variant.bytes * plan.pixels + 4 * plan.sums,
        bound_bytes=variant.bytes * plan.bound + 4 * plan.sums,
        flash_bytes=sum(table.bytes for table in variant.tables),
        macs=program.multiply_adds(),
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _guarded(macro: str, *parts: str) -> str:
    return "\n".join([f"#ifdef {macro}", *parts, "#endif"])


def _header(program: Program) -> str:
    channels, height, width = program.image_shape
    described = [program.about.get(key) for key in ("method", "model", "dataset")]
    title = " · ".join(["A network that dstbench compiled", *map(str, filter(None, described))])
    sizes = {
        "CLASSES": program.classes,
        "CHANNELS": channels,
        "HEIGHT": height,
        "WIDTH": width,
        "OPERATIONS": len(program.kind),
    }
    text = _file("network.h")
    lines = [f"#define DST_{name} {number}" for name, number in sizes.items()]
    return text.replace("/* TITLE */", c_comment(title)).replace("/* SIZES */", "\n".join(lines))
