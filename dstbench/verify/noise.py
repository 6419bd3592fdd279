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
# Largest gain, as a fraction of the test images: what a claimed device allows to change is many
# times more, and a record may claim any device.
_MOST_GAINED = 0.002


def most_changed(precision: str, device: str, images: int) -> int:
    """Return how many predictions may change in a new forward pass on a CPU.

    precision: of the run.
    device: that made the predictions, as in its provenance.
    images: number of test images.
    """
    exact = precision == "fp32" and device == "cpu"
    most = _MOST_CHANGED_FP32 if exact else _MOST_CHANGED_COARSE
    return math.ceil(most * images / 10_000)


def most_gained(discordant: int, images: int) -> int:
    """Return by how many images a record may be better than a new forward pass on any device.

    discordant: images that are right in just one of the two.
    images: number of test images.

    Noise makes as many right as wrong. The gain is then a sum of `discordant` random signs, within
    3·√discordant. It is at most 0.2 points as well, or one image.
    """
    chance = math.floor(_DEVIATIONS * math.sqrt(discordant))
    return min(chance, max(1, math.floor(_MOST_GAINED * images)))
