"""How much a result may change between devices, as measured.

The order of floating-point additions depends on threads, instruction sets and devices. A new
forward pass of one network then changes the class of an image whose two highest logits nearly tie;
a new training run, whose small differences grow, ends at another accuracy.
"""

import math

# Images of 10,000 whose predicted class changes between two forward passes of one network: RigL,
# 99 % sparse, CIFAR-10, two epochs (few images are far from a tie). In fp32, 1 or 2 threads, with
# or without oneDNN, AVX2 or SSE: 0. In fp32 against bf16: 232.
# assumed: 2 for fp32, as CPUs with other instruction sets than those measured have not been tried;
# as many for a GPU as for bf16, as its convolutions compute in TF32.
_MOST_CHANGED_FP32 = 2
_MOST_CHANGED_COARSE = 232
_DEVIATIONS = 3  # of a sum of random signs: chance favours the record less often than once in 500

# Difference between the accuracies of two runs of one configuration and seed, in standard errors:
# RigL on digits, 8 epochs, fp32, 1 and 2 threads, three seeds: 2.31, 0 and 0.64.
MOST_STANDARD_ERRORS = 2.4


def most_changed(precision: str, device: str, images: int) -> int:
    """Return how many predictions may change in a new forward pass on a CPU.

    precision: of the run.
    device: that made the predictions, as in its provenance.
    images: number of test images.
    """
    exact = precision == "fp32" and device == "cpu"
    most = _MOST_CHANGED_FP32 if exact else _MOST_CHANGED_COARSE
    return math.ceil(most * images / 10_000)


def most_gained(changed: int) -> int:
    """Return by how many images a record may be better than a new forward pass.

    changed: number of predictions that the new pass changes. Noise makes as many wrong as right.
    """
    return math.ceil(_DEVIATIONS * math.sqrt(changed))


def most_retrained(accuracy: float, images: int) -> float:
    """Return by how many percentage points two attempts at one run may differ.

    accuracy: of the first, in percent.
    images: number n of test images.

    MOST_STANDARD_ERRORS times √(2p(1 − p)/n), the standard error of the difference between the
    accuracies p of two networks on n images.
    """
    p = accuracy / 100
    return 100 * MOST_STANDARD_ERRORS * math.sqrt(2 * p * (1 - p) / images)
