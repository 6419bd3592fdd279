"""A program as C99: a header, and a source with tables, an interpreter and a self-test.

The source needs nothing but the compiler: no library, no memory but one static arena and the stack.
"""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from dstbench.deployment.c_export.arena import place
from dstbench.deployment.c_export.float_tables import float_tables
from dstbench.deployment.c_export.plane_graph import plane_graph
from dstbench.deployment.c_export.schedule import best_order
from dstbench.deployment.c_export.tables import Table, c_comment, c_string, float_literal
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program import NO_CLIP, Kind, Program
from dstbench.errors import UserError

TEST_IMAGES = 8
TOLERANCE = 1e-5  # of float32 logits, relative to the largest


@dataclass(frozen=True)
class CSource:
    """The text of a network in C.

    header: of `network.h`.
    source: of `network.c`.
    arena_bytes: memory of the planes, and of one row of sums.
    bound_bytes: the most bytes of planes that are needed at a time in the order that was chosen.
    flash_bytes: of the constant tables, without code.
    macs: multiply-adds of one image.
    """

    header: str
    source: str
    arena_bytes: int
    bound_bytes: int
    flash_bytes: int
    macs: int


def c_source(program: Program) -> CSource:
    """Return a program as C99, in float32.

    Raises UserError: when the program has no mean and standard deviation, so that bytes cannot be
        normalised.
    """
    if program.about.get("mean") is None or program.about.get("std") is None:
        raise UserError(
            "This network was compiled without a mean and standard deviation, so its C could not "
            "normalise bytes. Compile it with both in its description."
        )
    graph = plane_graph(program)
    order = best_order(graph)
    arena = place(graph, order)
    tables, observed = float_tables(program, order, arena)
    widest = int(program.sizes()[:, 1].max())
    linear = program.kind == Kind.LINEAR
    areas = program.settings[program.setting, :2].astype(np.int64).prod(1)
    interpreter, test = (
        files(__package__).joinpath(name).read_text(encoding="utf-8")
        for name in ("float32.c", "self_test.c")
    )
    classes = program.about.get("classes") or [str(n) for n in range(program.classes)]
    names = ",\n    ".join(map(c_string, classes))
    parts = [
        '#include "network.h"\n\n#include <stddef.h>\n',
        f"#define DST_STEPS {len(order)}",
        f"#define DST_NO_CLIP {float_literal(float(NO_CLIP))} /* below every pixel */\n",
        *(table.text for table in tables),
        f"#ifdef DST_OBSERVE\n{observed.text}\n#endif",
        f"#ifdef DST_SELF_TEST\n{_expected(program)}\n#endif",
        f"const char *const dst_classes[DST_CLASSES] = {{\n    {names}\n}};\n",
        f"static float dst_arena[{arena.size}], dst_sums[{widest}];\n",
        interpreter + test,
    ]
    return CSource(
        header=_header(program),
        source="\n".join(parts),
        arena_bytes=4 * (arena.size + widest),
        bound_bytes=4 * arena.bound,
        flash_bytes=sum(table.bytes for table in tables),
        macs=int(areas[linear] @ program.terms[linear].astype(np.int64)),
    )


def test_images(program: Program) -> np.ndarray:
    """Return the images of the self-test, uint8 (n, height, width, channels).

    See `self_test.c` for the generator.
    """
    channels, height, width = program.image_shape
    x, numbers = 0, []
    for _ in range(TEST_IMAGES * channels * height * width):
        x = (1664525 * x + 1013904223) % 2**32
        numbers.append(x >> 24)
    return np.array(numbers, np.uint8).reshape(TEST_IMAGES, height, width, channels)


def _expected(program: Program) -> str:
    logits = Network(program, 1)(test_images(program))
    lines = [
        f"#define DST_TEST_IMAGES {TEST_IMAGES}",
        f"#define DST_TOLERANCE {float_literal(TOLERANCE)}",
        Table("dst_expected", logits).text,
    ]
    return "\n".join(lines)


def _header(program: Program) -> str:
    channels, height, width = program.image_shape
    about = program.about
    described = [about.get(key) for key in ("method", "model", "dataset")]
    title = " · ".join(["A network that dstbench compiled", *map(str, filter(None, described))])
    return f"""{c_comment(title)}

#ifndef DST_NETWORK_H
#define DST_NETWORK_H

#include <stdint.h>

#define DST_CLASSES {program.classes}
#define DST_CHANNELS {channels}
#define DST_HEIGHT {height}
#define DST_WIDTH {width}
#define DST_OPERATIONS {len(program.kind)}

#ifdef __cplusplus
extern "C" {{
#endif

extern const char *const dst_classes[DST_CLASSES];

/* image: DST_CHANNELS x DST_HEIGHT x DST_WIDTH, normalised as in training.
   logits: DST_CLASSES numbers, written. Not reentrant: all calls share one memory. */
void dst_infer(const float *image, float *logits);

/* image: DST_HEIGHT x DST_WIDTH x DST_CHANNELS bytes; they are normalised as in training. */
void dst_infer_bytes(const uint8_t *image, float *logits);

#ifdef DST_OBSERVE
/* Mean absolute value of the result of each operation in the last call, in the program's order. */
extern float dst_activity[DST_OPERATIONS];
#endif

#ifdef __cplusplus
}}
#endif

#endif
"""
