"""A compiled network: a list of operations on planes, as arrays.

A plane is one channel of one image, height × width. Planes are numbered: first the image's
channels, then the constant planes, then one for each operation, in the order they run. An operation
is one of

    LINEAR   out = Σ coefficient · max(plane, clip), shifted, + bias; then max(out, 0) if `relu`
    SAMPLE   out[r, c] = plane[origin_r + r · stride_r, origin_c + c · stride_c], or 0 outside
    MAXIMUM  out[r, c] = max of a window of the plane, pixels outside ignored
    MEAN     out = mean of max(plane, clip) over the plane: 1 × 1

and its terms list the planes that it reads. The last `classes` operations compute the logits.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypedDict

import numpy as np

NO_CLIP = np.float32(-3.4e38)  # a clip below every pixel


class Kind(IntEnum):
    LINEAR = 0
    SAMPLE = 1
    MAXIMUM = 2
    MEAN = 3


class About(TypedDict, total=False):
    """Description of a network, stored in its file as JSON.

    method, model, dataset, seed: of its run.
    sparsity: fraction removed.
    accuracy: test accuracy in percent, None if not known.
    epoch: "best validation" or "final epoch".
    config_sha256: identity of the run's configuration.
    commit: of the code that trained it, None if not known.
    image_shape: channels, height, width.
    classes: names, in the order of the logits.
    mean, std: of a channel's pixels in [0, 1], for normalising uint8 images.
    """

    method: str
    model: str
    dataset: str
    seed: int
    sparsity: float
    accuracy: float | None
    epoch: str
    config_sha256: str
    commit: str | None
    image_shape: list[int]
    classes: list[str]
    mean: list[float]
    std: list[float]


@dataclass
class Program:
    """The operations that compute the logits of an image.

    image_shape: channels, height, width.
    classes: number of logits.
    constants: planes that are the same for every image, (height, width) float32 each.
    weights: (weights,) float32, each stored weight once.

    One entry an operation, in the order they run:

    kind: uint8, a `Kind`.
    relu: bool, whether negative results become zero.
    gain: float32, factor of its stored weights.
    bias: float32.
    setting: row of `settings`.
    terms: number of its terms.

    One entry a term:

    plane: uint32, the plane that is read.
    shift: row of `shifts`.
    weight: uint32, 0 for the number one, n + 1 for weights[n] · gain.
    clip: float32, lower bound of the plane's pixels.

    Tables:

    settings: int32 (s, 8), height and width of the result, then origin and stride of a SAMPLE, or
        padding, stride and window of a MAXIMUM, as pairs of rows and columns.
    shifts: int32 (t, 2), rows and columns.
    about: description of the network.
    """

    image_shape: tuple[int, int, int]
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
    about: About = field(default_factory=About)

    @property
    def sources(self) -> int:
        """Number of planes that no operation computes: the image's and the constant ones."""
        return self.image_shape[0] + len(self.constants)

    def owners(self) -> np.ndarray:
        """Return the operation of each term, (terms,) int64."""
        return np.repeat(np.arange(len(self.kind)), self.terms)

    def first_terms(self) -> np.ndarray:
        """Return the first term of each operation, (operations,) int64."""
        return np.cumsum(self.terms, dtype=np.int64) - self.terms

    def term_shifts(self) -> np.ndarray:
        """Return rows and columns by which each term's plane is shifted, (terms, 2) int64."""
        return self.shifts[self.shift].astype(np.int64).reshape(-1, 2)

    def multiply_adds(self) -> int:
        """Return the multiply-adds of all sums for one image."""
        sums = self.kind == Kind.LINEAR
        return int(self.sizes()[self.sources :][sums].prod(1) @ self.terms[sums].astype(np.int64))

    def coefficients(self) -> np.ndarray:
        """Return the factor of each term's plane, (terms,) float32."""
        stored = np.concatenate([np.ones(1, np.float32), self.weights])[self.weight]
        gain = np.where(self.weight == 0, np.float32(1), np.repeat(self.gain, self.terms))
        return stored * gain

    def sizes(self) -> np.ndarray:
        """Return height and width of every plane, (planes, 2) int64."""
        computed = self.settings[self.setting, :2]
        image = [self.image_shape[1:]] * self.image_shape[0]
        sources = [*image, *(plane.shape for plane in self.constants)]
        return np.concatenate([np.array(sources, np.int64).reshape(-1, 2), computed])
