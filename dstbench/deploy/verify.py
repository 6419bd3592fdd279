"""How near a deployed network must come to the masked one."""

import numpy as np

from dstbench.errors import UserError

TOLERANCE = 1e-4


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of logits, relative to the largest one.

    Logits below a thousandth count as that: they are differences, and round as their terms do.
    """
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-3))


def check_onnx(content: bytes, images: np.ndarray, logits: np.ndarray) -> float:
    """Largest relative error of the logits in onnxruntime; raises UserError above 1e-4."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (ours,) = session.run(["logits"], {"images": images})
    error = relative_error(ours, logits)
    if not error <= TOLERANCE:
        raise UserError(f"network.onnx differs from the network by {error:.1e}; it is not written.")
    return error
