"""Gradient flow of the EAST paper's Figure 5: the sum of the gradient norms of all layers.

Li et al. 2024, section 4.2. Dead weights count, as in the public EAST code, which measures it on
the last training batch of an epoch after clipping; here it is on the fixed batch of the health
measurements, not clipped.
"""

from collections.abc import Mapping
from typing import Any

GRADIENT_FLOW = "gradient_flow"  # its name in curves


def gradient_flow(line: Mapping[str, Any]) -> float | None:
    """Return the gradient flow of a line of curves; None where a gradient has no finite norm."""
    norms = line.get("layers_grad_norm")
    return sum(norms.values()) if norms and None not in norms.values() else None
