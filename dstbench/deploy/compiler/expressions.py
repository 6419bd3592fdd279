"""One channel while a network is folded: a sum of planes and a bias, and what can be done to it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dstbench.deploy.runtime.program import Kind

Bias = float | np.ndarray
Pair = tuple[int, int]


class Plane(NamedTuple):
    """Where a plane comes from: "image", "constant" or "made", and its number there."""

    source: str
    number: int


class Term(NamedTuple):
    """factor · value · max(plane, clip), read `rows` further down and `columns` to the right.

    weight: (tensor, position in row order) of the stored weight that `value` is, or None.
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
class Form:
    """The sum of its terms and a bias: a number, or a plane (height, width) of several numbers."""

    terms: tuple[Term, ...] = ()
    bias: Bias = 0.0

    @property
    def single(self) -> bool:
        """Whether it is one plane, shifted, clipped, scaled, and moved by a number."""
        return len(self.terms) == 1 and not isinstance(self.bias, np.ndarray)

    @property
    def alone(self) -> bool:
        """Whether it is one plane that is not shifted, clipped, scaled, and moved by a number."""
        return self.single and self.terms[0].rows == 0 and self.terms[0].columns == 0

    @property
    def bare(self) -> bool:
        """Whether it is nothing but a scaled plane, so that zeros around that are its zeros."""
        return self.alone and self.bias == 0 and self.terms[0].clip == -np.inf

    def scaled(self, factor: float, shift: float = 0.0) -> "Form":
        """factor · self + shift."""
        if factor == 0:
            return Form((), shift)
        terms = tuple(t._replace(factor=t.factor * factor) for t in self.terms)
        return Form(terms, self.bias * factor + shift)

    def plus(self, other: "Form") -> "Form":
        return Form(self.terms + other.terms, plain(self.bias + other.bias))

    def weighted(self, factor: float, weight: tuple[str, int], value: float) -> "Form":
        """factor · value · self, where `value` is a stored weight."""
        terms = tuple(
            t._replace(factor=t.coefficient * factor, weight=weight, value=value)
            for t in self.terms
        )
        return Form(terms, self.bias * (factor * value))


def plain(bias: Bias) -> Bias:
    """A plane of one number is that number."""
    if isinstance(bias, np.ndarray) and (bias == bias.flat[0]).all():
        return float(bias.flat[0])
    return bias


@dataclass(frozen=True)
class Operation:
    """What makes one plane of others; see `program`.

    size: height and width of the result. settings: (origin, stride) of a sample, (before, stride,
    window) of a maximum, as pairs. moment: those of one moment do not need each other, except that
    all others may need LINEAR ones.
    """

    kind: Kind
    size: Pair
    terms: tuple[Term, ...]
    bias: float = 0.0
    relu: bool = False
    settings: tuple[Pair, ...] = ()
    moment: int = 0

    @property
    def order(self) -> tuple:
        """What runs one after the other: of one moment, all that is alike."""
        return (self.moment, self.kind, self.size, self.settings, len(self.terms))
