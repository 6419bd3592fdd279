"""A program as C99 with pixels and weights of 8 bits, and sums of 32 bits."""

from collections.abc import Sequence

import numpy as np

from dstbench.deployment.c_export.assemble import CSource, Variant, assembled
from dstbench.deployment.c_export.int8_simulation import constants, int8_logits
from dstbench.deployment.c_export.plan import Plan
from dstbench.deployment.c_export.quantisation import Quantisation
from dstbench.deployment.c_export.self_test_images import self_test_images
from dstbench.deployment.c_export.step_tables import step_tables
from dstbench.deployment.c_export.tables import Table
from dstbench.deployment.runtime.program import Kind, Program

_TOLERANCE = 1e-6  # sums are equal; only the logits' scale is a float


def int8_source(program: Program, plan: Plan, numbers: Quantisation) -> CSource:
    """Return a program as C99 in int8.

    plan: of the program.
    numbers: the int8 network.
    """
    taps = {"dst_tap_doublings": numbers.doublings, "dst_tap_clip": numbers.clips}
    steps = step_tables(program, plan, taps, constants(program, numbers))
    order = list(plan.order)
    integers = {
        "dst_coefficients": numbers.weights[steps.terms],
        "dst_bias": numbers.bias[steps.sums],
        "dst_multipliers": numbers.multipliers[steps.rescaled],
        "dst_rescale_shifts": numbers.shifts[steps.rescaled],
        "dst_zeros": numbers.zeros[order],
    }
    floats = {
        "dst_means": 255 * np.array(program.about["mean"]),  # of bytes
        "dst_stds": 255 * np.array(program.about["std"]),
        "dst_logit_scales": _logit_scales(program, numbers),
    }
    variant = Variant(
        file="int8.c",
        pixel="int8_t",
        sum="int32_t",
        bytes=1,
        tables=[*steps.tables, *_tables(integers), *_tables(floats)],
        observed=[steps.observed, *_tables({"dst_scales": numbers.scales[order]})],
        expected=int8_logits(program, plan.order, numbers, self_test_images(program.image_shape)),
        tolerance=_TOLERANCE,
    )
    return assembled(program, plan, variant)


def _tables(values: dict[str, np.ndarray]) -> Sequence[Table]:
    return [
        Table(name, v if v.dtype.kind == "i" else v.astype(np.float32))
        for name, v in values.items()
    ]


def _logit_scales(program: Program, numbers: Quantisation) -> np.ndarray:
    """Return the scale of each logit: of its sum, or of its pixel where it is no sum."""
    first = len(program.kind) - program.classes
    summed = np.isin(program.kind[first:], (Kind.LINEAR, Kind.MEAN))
    scales = numbers.scales[program.sources + first :]
    return np.where(summed, numbers.sum_scales[first:], scales)
