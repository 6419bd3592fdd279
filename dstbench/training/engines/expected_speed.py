"""When the native engine is expected to train faster than torch: by MACs and size of activations.

Measured by `python benchmarks/engine_limits.py`, one thread of an Intel Xeon with AVX-512: per live
weight and position, a native step takes 0.3 ns where the activations of a layer stay in the cache,
and up to 1.2 ns where they do not. Torch takes 0.3 ns per weight and position of narrow layers, and
0.1 ns of wide ones. So they take the same time at 45 to 60 % of the dense network's MACs where the
largest activation of a batch has 1 or 2 MB, at 20 to 30 % where it has 4 or 8, and at 7 to 10 %
where it has 16 or 32.
"""

from dataclasses import dataclass

from dstbench.core.state import State
from dstbench.metrics.cost import cost

# Limits at about half of these fractions, where the native engine is twice as fast.
MIN_LIMIT, MAX_LIMIT = 0.05, 0.4
_LIMIT_TIMES_BYTES = 2**19  # 0.5 at 1 MB
_BYTES = 4  # of a number in fp32


@dataclass(frozen=True)
class LiveMacs:
    """MACs of an image.

    live: of live weights and dense offsets; dense: of the dense network.
    limit: fraction of the dense MACs below which the native engine is expected to be faster.
    """

    live: int
    dense: int
    limit: float

    @property
    def fraction(self) -> float:
        return self.live / self.dense

    @property
    def below_limit(self) -> bool:
        return self.fraction < self.limit


def live_macs(state: State, batch_size: int) -> LiveMacs:
    """Return the MACs of a network as its masks are now, and their limit.

    batch_size: images a step, all activations of which are stored.
    """
    counted = cost(state.model, state.masks, state.image_shape)
    largest = max(
        (
            layer["positions"] * layer["shape"][0] / max(1, layer["uses"])
            for layer in counted["layers"]
        ),
        default=0.0,
    )
    limit = _LIMIT_TIMES_BYTES / max(1.0, largest * batch_size * _BYTES)
    limit = min(MAX_LIMIT, max(MIN_LIMIT, limit))
    return LiveMacs(counted["macs"], max(1, counted["dense_macs"]), limit)
