"""One channel during folding: a weighted sum of planes plus a bias."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from dstbench.deployment.runtime.program import Kind
from dstbench.graph.steps import Pair

Bias = float | np.ndarray  # one number, or one number a pixel: (height, width)


class Plane(NamedTuple):
    """One plane.

    source: where it comes from: the image, the constant planes, or an operation.
    number: of the image's channel, of the constant plane, or of the operation.
    """

    source: Literal["image", "constant", "operation"]
    number: int


class Term(NamedTuple):
    """factor · value · max(plane, clip), the plane read shifted.

    plane: what is read.
    rows, columns: shift: pixel (r, c) reads (r + rows, c + columns).
    factor: number.
    weight: (tensor, flat index in row order) of the stored weight that `value` is, or None.
    value: number.
    clip: lower bound of the plane's pixels.
    """

    plane: Plane
    rows: int = 0
    columns: int = 0
    factor: float = 1.0
    weight: tuple[str, int] | None = None
    value: float = 1.0
    clip: float = -np.inf

    @property
    def coefficient(self) -> float:
        return self.factor * self.value


@dataclass(frozen=True)
class Expression:
    """The sum of terms and a bias. Without terms it is a constant: the channel is dead.

    terms: its terms.
    bias: one number, or a plane.
    """

    terms: tuple[Term, ...] = ()
    bias: Bias = 0.0

    @property
    def is_single_plane(self) -> bool:
        """Whether it is one plane (shifted, clipped, scaled) plus one number."""
        return len(self.terms) == 1 and not isinstance(self.bias, np.ndarray)

    @property
    def is_unshifted(self) -> bool:
        """Whether it is one plane (clipped, scaled, not shifted) plus one number."""
        return self.is_single_plane and self.terms[0].rows == 0 and self.terms[0].columns == 0

    @property
    def is_scaled_plane(self) -> bool:
        """Whether it is one scaled plane and nothing else, so that padding it with zeros is exact.

        That is: padding the plane and scaling it gives the same as padding the expression.
        """
        return self.is_unshifted and self.bias == 0 and self.terms[0].clip == -np.inf

    def affine(self, scale: float, shift: float = 0.0) -> "Expression":
        """Return scale · self + shift."""
        if scale == 0:
            return Expression((), shift)
        terms = tuple(t._replace(factor=t.factor * scale) for t in self.terms)
        return Expression(terms, self.bias * scale + shift)

    def plus(self, other: "Expression") -> "Expression":
        return Expression(self.terms + other.terms, simplified(self.bias + other.bias))

    def weighted(self, factor: float, weight: tuple[str, int], value: float) -> "Expression":
        """Return factor · value · self, where `value` is the stored weight `weight`."""
        terms = tuple(
            t._replace(factor=t.coefficient * factor, weight=weight, value=value)
            for t in self.terms
        )
        return Expression(terms, self.bias * (factor * value))


def simplified(bias: Bias) -> Bias:
    """Return the bias, as one number where all its pixels are equal."""
    if isinstance(bias, np.ndarray) and (bias == bias.flat[0]).all():
        return float(bias.flat[0])
    return bias


@dataclass(frozen=True)
class Operation:
    """Computes one plane from others; see `runtime.program`.

    kind: what it does.
    size: height and width of the result.
    terms: what it reads.
    bias: added to a LINEAR operation.
    relu: whether negative results become zero.
    settings: (origin, stride) of a SAMPLE, (padding, stride, window) of a MAXIMUM, as pairs.
    """

    kind: Kind
    size: Pair
    terms: tuple[Term, ...]
    bias: float = 0.0
    relu: bool = False
    settings: tuple[Pair, ...] = ()
