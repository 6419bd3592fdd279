"""The operations of a program while it is built, and the planes that they compute."""

import numpy as np

from dstbench.deployment.compiler.expressions import Expression, Operation, Plane, Term
from dstbench.deployment.compiler.window import Window
from dstbench.deployment.runtime.program import Kind
from dstbench.graph.steps import Pair

_ROUNDING = 1e-12  # relative error below which a clip is the one that a ReLU left


class Planes:
    """Adds operations where an expression must become a plane.

    The `as_…` methods return an expression that computes the same in the named form. Constants are
    returned unchanged.

    operations: so far.
    constants: constant planes so far, (height, width) float64 each.
    nonnegative: planes without a negative pixel.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.constants: list[np.ndarray] = []
        self.nonnegative: set[Plane] = set()
        self._known: dict[tuple, Plane] = {}  # planes that are computed once and read again

    def add(self, operation: Operation) -> Plane:
        """Add an operation and return the plane that it computes."""
        self.operations.append(operation)
        plane = Plane("operation", len(self.operations) - 1)
        if operation.relu:
            self.nonnegative.add(plane)
        return plane

    def computed(self, expression: Expression, size: Pair, relu: bool = False) -> Expression:
        """Return a plane of the expression, computed by a LINEAR operation.

        size: height and width of the plane.
        relu: whether to compute the positive part.
        """
        terms, bias = expression.terms, expression.bias
        if isinstance(bias, np.ndarray):
            self.constants.append(bias)
            terms += (Term(Plane("constant", len(self.constants) - 1)),)
            bias = 0.0
        return Expression((Term(self.add(Operation(Kind.LINEAR, size, terms, bias, relu))),))

    def as_single_plane(self, expression: Expression, size: Pair) -> Expression:
        if expression.is_single_plane or not expression.terms:
            return expression
        return self.computed(expression, size)

    def as_unshifted(self, expression: Expression, size: Pair) -> Expression:
        if expression.is_unshifted or not expression.terms:
            return expression
        return self.computed(expression, size)

    def as_scaled_plane(self, expression: Expression, size: Pair) -> Expression:
        if expression.is_scaled_plane or not expression.terms:
            return expression
        if not expression.is_single_plane:
            return self.computed(expression, size)
        term, bias = expression.terms[0], float(expression.bias)
        key = ("scaled plane", *term, bias)
        if key not in self._known:
            # Where the clip is the one that a ReLU left, a ReLU operation replaces it.
            floor = term.coefficient * term.clip + bias
            relu = term.coefficient > 0 and abs(floor) <= _ROUNDING * abs(bias)
            if relu:
                expression = Expression((term._replace(clip=-np.inf),), bias)
            self._known[key] = self.computed(expression, size, relu).terms[0].plane
        return Expression((Term(self._known[key]),))

    def sample(self, plane: Plane, origin: Pair, stride: Pair, size: Pair) -> Plane:
        """Return every stride-th pixel of a plane from `origin`, zeros outside it."""
        key = ("sample", plane, origin, stride, size)
        if key not in self._known:
            relu = plane in self.nonnegative
            self._known[key] = self.add(
                Operation(Kind.SAMPLE, size, (Term(plane),), 0.0, relu, (origin, stride))
            )
        return self._known[key]

    def read(self, expression: Expression, window: Window, row: int, column: int) -> Expression:
        """Return what a kernel position reads of a channel, zeros outside the channel."""
        inside = window.inside(row, column)
        if not inside.any():
            return Expression()
        if not expression.terms:
            if isinstance(expression.bias, np.ndarray):
                return Expression((), window.read(expression.bias, row, column))
            return Expression((), expression.bias if inside.all() else expression.bias * inside)
        convert = self.as_single_plane if inside.all() else self.as_scaled_plane
        expression = convert(expression, window.input)
        (term,) = expression.terms
        rows, columns = window.origin(row, column)
        rows, columns = rows + term.rows, columns + term.columns
        if window.only_shifts:
            return Expression((term._replace(rows=rows, columns=columns),), expression.bias)
        plane = self.sample(term.plane, (rows, columns), window.stride, window.output)
        return Expression((term._replace(plane=plane, rows=0, columns=0),), expression.bias)
