"""How near a deployed network must come to the masked one."""

import numpy as np

TOLERANCE = 1e-4


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of logits, relative to the largest one.

    Logits below a thousandth count as that: they are differences, and round as their terms do.
    """
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-3))
