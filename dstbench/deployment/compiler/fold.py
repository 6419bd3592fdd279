"""Folds the steps of a network into a program, one channel at a time.

A channel is an expression: a sum of terms (a plane shifted, clipped from below and scaled) and a
bias. A dead channel has no terms and is constant; a constant channel through a zero-padded
convolution gives a plane that differs near the border, computed here once, in float64. Batch norm
scales an expression, a residual sum adds two, and a ReLU of a single plane only raises the plane's
clip, so that a channel which a block leaves unchanged costs nothing. An operation is added only
where an expression must become a plane. Operations that no logit needs are left out at the end.
"""

from collections import Counter

import numpy as np

from dstbench.data.images import Shape
from dstbench.deployment.compiler.emit import emit
from dstbench.deployment.compiler.expressions import (
    Bias,
    Expression,
    Operation,
    Plane,
    Term,
    simplified,
)
from dstbench.deployment.compiler.planes import Planes
from dstbench.deployment.compiler.rewrites import classify_before_mean
from dstbench.deployment.compiler.window import Window
from dstbench.deployment.runtime.program import Kind, Program
from dstbench.graph.dynamic import refuse_dynamic
from dstbench.graph.steps import (
    Affine,
    Convolution,
    Dynamic,
    Flatten,
    Pair,
    Pool,
    Relu,
    Step,
    Sum,
)


def fold(steps: list[Step], image_shape: Shape) -> Program:
    """Return the program that computes the last step's result from an image.

    image_shape: channels, height, width.
    """
    folding = _folded(classify_before_mean(steps, image_shape), image_shape)
    planes, logits = folding.planes, folding.values[-1]
    for logit in logits:
        planes.add(Operation(Kind.LINEAR, (1, 1), logit.terms, float(logit.bias)))
    return emit(planes.operations, planes.constants, len(logits), image_shape)


def constants_of(steps: list[Step], image_shape: Shape) -> list[list[Bias | None]]:
    """Return the constant of every channel of every value, or None where it has none.

    The first value is the image.
    """
    values = _folded(steps, image_shape).values
    return [[None if e.terms else e.bias for e in channels] for channels in values]


def _folded(steps: list[Step], image_shape: Shape) -> "_Folding":
    folding = _Folding(steps, image_shape)
    for step in steps:
        folding.take(step)
    return folding


class _Folding:
    """Follows every channel through the steps.

    values: expressions of the channels of every value so far, the image first.
    shapes: (channels, height, width) of every value so far.
    planes: the operations so far.
    """

    def __init__(self, steps: list[Step], image_shape: Shape):
        channels = range(image_shape[0])
        self.values = [[Expression((Term(Plane("image", c)),)) for c in channels]]
        self.shapes: list[Shape] = [image_shape]
        self.planes = Planes()
        self._readers = Counter(value for step in steps for value in step.inputs)
        self._last_relu = next((s for s in reversed(steps) if isinstance(s.action, Relu)), None)

    def take(self, step: Step) -> None:
        """Follow every channel through one step."""
        inputs = [self.values[i] for i in step.inputs]
        shape = self.shapes[step.inputs[0]]
        outputs = self._outputs(step, inputs, shape)
        if self._readers[len(self.values)] > 1:  # a sum with several readers is computed once
            outputs = [
                self.planes.as_single_plane(e, step.shape[1:]) if len(e.terms) > 1 else e
                for e in outputs
            ]
        self.values.append(outputs)
        self.shapes.append(step.shape)

    def _outputs(
        self, step: Step, inputs: list[list[Expression]], shape: Shape
    ) -> list[Expression]:
        match step.action:
            case Convolution() as action:
                return self._convolution(action, inputs[0], shape, step.shape)
            case Affine(scale, shift):
                channels = zip(inputs[0], scale, shift, strict=True)
                return [e.affine(float(a), float(b)) for e, a, b in channels]
            case Sum():
                a, b = inputs if len(inputs) == 2 else inputs * 2
                return [e.plus(f) for e, f in zip(a, b, strict=True)]
            case Relu():
                outputs = [self._relu(e, shape[1:]) for e in inputs[0]]
                if step is self._last_relu:  # zeros must be exact: logits may be zeros
                    outputs = [self.planes.as_scaled_plane(e, shape[1:]) for e in outputs]
                return outputs
            case Pool() as action:
                window = Window(
                    action.window, action.stride, action.padding, (1, 1), shape[1:], step.shape[1:]
                )
                pool = self._maximum if action.maximum else self._mean
                return [pool(e, window) for e in inputs[0]]
            case Dynamic() as action:
                refuse_dynamic(action)
            case Flatten():
                pixels = [(r, c) for r in range(shape[1]) for c in range(shape[2])]
                return [self._pixel(e, shape[1:], pixel) for e in inputs[0] for pixel in pixels]

    def _convolution(
        self, action: Convolution, inputs: list[Expression], shape: Shape, output_shape: Shape
    ) -> list[Expression]:
        weight = action.weight
        outputs, group_inputs, *kernel = weight.shape
        window = Window(
            (kernel[0], kernel[1]),
            action.stride,
            action.padding,
            action.dilation,
            shape[1:],
            output_shape[1:],
        )
        terms: list[list[Term]] = [[] for _ in range(outputs)]
        bias: list[Bias] = [0.0] * outputs
        if action.bias is not None:
            bias = [float(b) for b in action.bias]
        reads: dict[tuple[int, int, int], Expression] = {}
        live = np.nonzero(weight)
        flat_indices = np.flatnonzero(weight)
        for o, i, row, column, index, value in zip(
            *(axis.tolist() for axis in live),
            flat_indices.tolist(),
            weight[live].tolist(),
            strict=True,
        ):
            channel = i + o // (outputs // action.groups) * group_inputs
            key = (channel, row, column)
            if key not in reads:
                reads[key] = self.planes.read(inputs[channel], window, row, column)
            product = reads[key].weighted(action.factor, (action.tensor, index), value)
            terms[o].extend(product.terms)
            bias[o] = bias[o] + product.bias
        return [Expression(tuple(t), simplified(b)) for t, b in zip(terms, bias, strict=True)]

    def _relu(self, expression: Expression, size: Pair) -> Expression:
        if not expression.terms:
            return Expression((), np.maximum(expression.bias, 0.0))
        if expression.is_single_plane and expression.terms[0].coefficient > 0:
            term, bias = expression.terms[0], float(expression.bias)
            clip = max(term.clip, -bias / term.coefficient)
            if clip <= 0 and term.plane in self.planes.nonnegative:
                clip = -np.inf
            return Expression((term._replace(clip=clip),), bias)
        return self.planes.computed(expression, size, relu=True)

    def _maximum(self, expression: Expression, window: Window) -> Expression:
        if not expression.terms:
            if isinstance(expression.bias, np.ndarray):
                return Expression((), simplified(window.maximum(expression.bias)))
            return expression
        expression = self.planes.as_unshifted(expression, window.input)
        if expression.terms[0].coefficient < 0:  # only an increasing function commutes with max
            expression = self.planes.computed(expression, window.input)
        term = expression.terms[0]
        settings = (window.padding, window.stride, window.kernel)
        relu = term.plane in self.planes.nonnegative
        plane = self.planes.add(
            Operation(Kind.MAXIMUM, window.output, (Term(term.plane),), 0.0, relu, settings)
        )
        return Expression((term._replace(plane=plane),), expression.bias)

    def _mean(self, expression: Expression, window: Window) -> Expression:
        if window.covers_plane:
            return self._mean_of_plane(expression, window)
        result = Expression()
        area = window.kernel[0] * window.kernel[1]
        for position in window.positions:
            result = result.plus(self.planes.read(expression, window, *position).affine(1 / area))
        return result

    def _mean_of_plane(self, expression: Expression, window: Window) -> Expression:
        if not expression.terms:
            return Expression((), float(np.mean(expression.bias)))
        expression = self.planes.as_unshifted(expression, window.input)
        (term,) = expression.terms
        plane = self.planes.add(Operation(Kind.MEAN, (1, 1), (Term(term.plane, clip=term.clip),)))
        return Expression((term._replace(plane=plane, clip=-np.inf),), expression.bias)

    def _pixel(self, expression: Expression, size: Pair, pixel: Pair) -> Expression:
        if size == (1, 1):
            return expression
        expression = self.planes.as_unshifted(expression, size)
        bias = expression.bias
        if isinstance(bias, np.ndarray):
            bias = float(bias[pixel])
        if not expression.terms:
            return Expression((), bias)
        (term,) = expression.terms
        plane = self.planes.sample(term.plane, pixel, (1, 1), (1, 1))
        return Expression((term._replace(plane=plane),), bias)
