"""A program as C99 in float32."""

import numpy as np

from dstbench.deployment.c_export.assemble import CSource, Variant, assembled
from dstbench.deployment.c_export.plan import Plan, plan_of
from dstbench.deployment.c_export.self_test_images import self_test_images
from dstbench.deployment.c_export.step_tables import step_tables
from dstbench.deployment.c_export.tables import Table
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program import Program
from dstbench.errors import UserError

TOLERANCE = 1e-5  # of logits against numba's, relative to the largest


def c_source(program: Program, plan: Plan | None = None) -> CSource:
    """Return a program as C99 in float32. It needs no library, only the compiler.

    plan: of the program; None makes one, which takes seconds.

    Raises UserError: when the program has no mean and standard deviation, so that bytes cannot be
        normalised.
    """
    if program.about.get("mean") is None or program.about.get("std") is None:
        raise UserError(
            "This network was compiled without a mean and standard deviation, so its C could not "
            "normalise bytes. Compile it with both in its description."
        )
    plan = plan or plan_of(program)
    coefficients = program.coefficients()
    one = coefficients == 1  # of residual sums: not stored
    taps = {"dst_tap_one": one.astype(np.int64), "dst_tap_clip": program.clip}
    steps = step_tables(program, plan, taps, program.constants)
    floats = {
        "dst_coefficients": coefficients[steps.terms[~one[steps.terms]]],
        "dst_bias": program.bias[steps.sums],
        "dst_means": np.array(program.about["mean"], np.float32),
        "dst_stds": np.array(program.about["std"], np.float32),
    }
    variant = Variant(
        file="float32.c",
        pixel="float",
        sum="float",
        bytes=4,
        tables=[*steps.tables, *(Table(name, values) for name, values in floats.items())],
        observed=[steps.observed],
        expected=Network(program, 1)(self_test_images(program.image_shape)),
        tolerance=TOLERANCE,
    )
    return assembled(program, plan, variant)
