"""Checks that a deployed network computes the logits of the trained one."""

import numpy as np

from dstbench.errors import UserError

TOLERANCE = 1e-4  # largest relative error that rounding explains


def relative_error(logits: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of logits, relative to the largest expected one.

    The divisor is at least 0.001: smaller logits are sums whose terms cancel, and round as their
    terms do.

    logits, expected: (n, classes).
    """
    scale = max(float(np.abs(expected).max()), 1e-3)
    return float(np.abs(logits - expected).max() / scale)


def check_logits(file: str, logits: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative error of a deployed network's logits.

    file: the file that would be written, for the message.
    logits: of the deployed network, (n, classes).
    expected: of the trained network, (n, classes).

    Raises UserError: when the error is above TOLERANCE or NaN.
    """
    error = relative_error(logits, expected)
    if not error <= TOLERANCE:
        raise UserError(
            f"{file}: its logits differ from the trained network's by {error:.1e} of the largest, "
            f"more than {TOLERANCE:.0e}. Nothing is written. Please report this run."
        )
    return error
