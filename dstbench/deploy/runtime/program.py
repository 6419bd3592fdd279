"""The compiled network: a list of operations on planes, and what they need. numpy only.

A plane is one channel of one image, height × width. Planes are numbered: those of the image, then
the constant ones, then one for each operation, in the order they run. An operation is

    LINEAR   out = Σ coefficient · max(plane, clip), shifted, + bias; then max(out, 0) if `relu`
    SAMPLE   out[r, c] = plane[origin_r + r · stride_r, origin_c + c · stride_c], or 0 outside
    MAXIMUM  out[r, c] = max of a window of the plane, what lies outside left out
    MEAN     out = mean of max(plane, clip) over the plane: 1 × 1

and its terms say which planes it reads. The last `classes` operations make the logits.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from dstbench.data.images import Shape

LANES = 16  # floats of a vector: strips are worked on in whole ones
NO_CLIP = np.float32(-3.4e38)


class Kind(IntEnum):
    LINEAR = 0
    SAMPLE = 1
    MAXIMUM = 2
    MEAN = 3


@dataclass
class Program:
    """What a network does to an image, without a network.

    image_shape: (channels, height, width). classes: number of logits.
    constants: planes that are the same for every image, (height, width) float32 each.
    weights: (w,) float32, each stored weight once.

    For each operation, in order: kind uint8; relu bool; gain float32, which multiplies its stored
    weights; bias float32; setting, a row of `settings`; terms, how many it has.

    For each term: plane uint32; shift, a row of `shifts`; weight uint32, 0 for the number one,
    n + 1 for weights[n] · gain; clip float32.

    settings: int32 (s, 8): height and width of the result, then origin and stride, or before,
    stride and window. shifts: int32 (t, 2): rows and columns.
    about: whatever else is to be known, such as names of classes; JSON.
    """

    image_shape: Shape
    classes: int
    constants: list[np.ndarray]
    weights: np.ndarray
    kind: np.ndarray
    relu: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    setting: np.ndarray
    terms: np.ndarray
    plane: np.ndarray
    shift: np.ndarray
    weight: np.ndarray
    clip: np.ndarray
    settings: np.ndarray
    shifts: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> int:
        """Planes that are there before the first operation runs."""
        return self.image_shape[0] + len(self.constants)

    def coefficients(self) -> np.ndarray:
        """(terms,) float32: what each term's plane is multiplied by."""
        stored = np.concatenate([np.ones(1, np.float32), self.weights])[self.weight]
        gain = np.where(self.weight == 0, np.float32(1), np.repeat(self.gain, self.terms))
        return stored * gain

    def sizes(self) -> np.ndarray:
        """(planes, 2) int: height and width of every plane."""
        made = self.settings[self.setting, :2]
        image = [self.image_shape[1:]] * self.image_shape[0]
        given = [*image, *(plane.shape for plane in self.constants)]
        return np.concatenate([np.array(given, np.int64).reshape(-1, 2), made])
