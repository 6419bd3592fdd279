"""How much a result may change between devices, as measured.

The order of floating-point additions depends on threads, instruction sets and devices. A new
forward pass of one network then changes the class of an image whose two highest logits nearly tie;
a new training run, whose small differences grow, ends at another accuracy.
"""

import math

# Images of 10,000 whose predicted class changes between two forward passes of one network.
# CHANGED
MOST_CHANGED = {"fp32": 2, "bf16": 60}

# Difference between the accuracies of two runs of one configuration and seed, in standard errors.
# RETRAINED
MOST_STANDARD_ERRORS = 2.1


def most_changed(precision: str, images: int) -> int:
    """Return how many predictions may change in a new forward pass.

    precision: of the run.
    images: number of test images.
    """
    return math.ceil(MOST_CHANGED[precision] * images / 10_000)


def most_retrained(accuracy: float, images: int) -> float:
    """Return by how many percentage points two attempts at one run may differ.

    accuracy: of the first, in percent.
    images: number n of test images.

    MOST_STANDARD_ERRORS times √(2p(1 − p)/n), the standard error of the difference between the
    accuracies p of two networks on n images.
    """
    p = accuracy / 100
    return 100 * MOST_STANDARD_ERRORS * math.sqrt(2 * p * (1 - p) / images)
