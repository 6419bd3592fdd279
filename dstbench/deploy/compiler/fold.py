"""From the steps of a network to a program: every channel is followed on its own.

A channel is a form: a sum of terms (a plane shifted, clipped from below and scaled) and a bias. A
dead channel has no terms and is constant; a constant channel through a zero-padded convolution
gives a plane that differs near the border, computed here once, in float64. Batch norm scales a
form, a residual sum adds two, and a ReLU of a single plane only raises the plane's clip, so that a
channel which a block leaves alone costs nothing. Only where a form becomes more than that does an
operation make a plane of it. What never reaches the logits is left out at the end.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from dstbench.data.images import Shape
from dstbench.deploy.compiler.emit import assemble
from dstbench.deploy.compiler.expressions import Bias, Form, Operation, Pair, Plane, Term, plain
from dstbench.deploy.compiler.graph import (
    Affine,
    Convolution,
    Flatten,
    Pool,
    Relu,
    Step,
    Sum,
)
from dstbench.deploy.compiler.rewrites import classify_before_mean
from dstbench.deploy.compiler.window import Window
from dstbench.deploy.runtime.program import Kind, Program


def fold(steps: list[Step], image_shape: Shape) -> Program:
    """The program that maps an image (channels, height, width) to what the last step makes."""
    steps = classify_before_mean(steps, image_shape)
    folding = _Folding(steps, image_shape)
    for step in steps:
        folding.take(step)
    for form in folding.values[-1]:
        folding.moment += 1
        folding.make(Operation(Kind.LINEAR, (1, 1), form.terms, float(form.bias)))
    classes = len(folding.values[-1])
    return assemble(folding.operations, folding.constants, classes, image_shape)


def constants_of(steps: list[Step], image_shape: Shape) -> list[list[Bias | None]]:
    """For every value, the image first, and every channel: its constant, or None if it has none."""
    folding = _Folding(steps, image_shape)
    for step in steps:
        folding.take(step)
    return [[None if form.terms else form.bias for form in forms] for forms in folding.values]


class _Folding:
    """The values so far, channel by channel, and the operations that make planes of them."""

    def __init__(self, steps: list[Step], image_shape: Shape):
        self.shapes: list[Shape] = [image_shape]
        self.values = [[Form((Term(Plane("image", c)),)) for c in range(image_shape[0])]]
        self.readers = Counter(value for step in steps for value in step.inputs)
        self.last_relu = next((s for s in reversed(steps) if isinstance(s.action, Relu)), None)
        self.operations: list[Operation] = []
        self.constants: list[np.ndarray] = []
        self.moment = 0  # operations of one moment may run in the order of their kinds
        self.known: dict[tuple, Plane] = {}  # planes made once and used again
        self.positive: set[Plane] = set()  # planes without a negative number

    def take(self, step: Step) -> None:
        """Follow every channel through one step."""
        self.moment += 1
        given = [self.values[i] for i in step.inputs]
        shape, made = self.shapes[step.inputs[0]], step.shape
        match step.action:
            case Convolution() as action:
                forms = self._convolution(action, given[0], shape, made)
            case Affine(scale, shift):
                pairs = zip(given[0], scale, shift, strict=True)
                forms = [form.scaled(float(a), float(b)) for form, a, b in pairs]
            case Sum():
                a, b = given if len(given) == 2 else given * 2
                forms = [f.plus(g) for f, g in zip(a, b, strict=True)]
            case Relu():
                forms = [self._relu(form, shape) for form in given[0]]
                if step is self.last_relu:  # what it cuts is to be exactly zero, as logits may be
                    forms = [self.bare(form, shape) for form in forms]
            case Pool() as action:
                window = Window(action.window, action.stride, action.before, (1, 1),
                                shape[1:], made[1:])  # fmt: skip
                pool = self._maximum if action.maximum else self._mean
                forms = [pool(form, window) for form in given[0]]
            case Flatten():
                places = [(r, c) for r in range(shape[1]) for c in range(shape[2])]
                forms = [self._pixel(form, shape, place) for form in given[0] for place in places]
        if self.readers[len(self.values)] > 1:  # a sum that several read is made once
            self.moment += 1
            forms = [self.simple(f, made) if len(f.terms) > 1 else f for f in forms]
        self.values.append(forms)
        self.shapes.append(made)

    # --- planes -----------------------------------------------------------------------------------

    def make(self, operation: Operation) -> Plane:
        self.operations.append(replace(operation, moment=self.moment))
        plane = Plane("made", len(self.operations) - 1)
        if operation.relu:
            self.positive.add(plane)
        return plane

    def linear(self, form: Form, shape: Shape, relu: bool) -> Form:
        """A plane of the form, or of its positive part."""
        terms, bias = form.terms, form.bias
        if isinstance(bias, np.ndarray):
            self.constants.append(bias)
            terms += (Term(Plane("constant", len(self.constants) - 1)),)
            bias = 0.0
        return Form((Term(self.make(Operation(Kind.LINEAR, shape[1:], terms, bias, relu))),))

    def simple(self, form: Form, shape: Shape) -> Form:
        """The same, as one plane shifted, clipped, scaled and moved, or as a constant."""
        if form.single or not form.terms:
            return form
        return self.linear(form, shape, relu=False)

    def alone(self, form: Form, shape: Shape) -> Form:
        """The same, as one plane clipped, scaled and moved by a number, or as a constant."""
        if form.alone or not form.terms:
            return form
        return self.linear(form, shape, relu=False)

    def bare(self, form: Form, shape: Shape) -> Form:
        """The same, as one scaled plane and nothing else, or as a constant."""
        if form.bare or not form.terms:
            return form
        if not form.single:
            return self.linear(form, shape, relu=False)
        term, bias = form.terms[0], float(form.bias)
        key = ("bare", *term, bias)
        if key not in self.known:
            # Where the clip is what a ReLU left, making the plane is taking the ReLU.
            floor = term.coefficient * term.clip + bias
            relu = term.coefficient > 0 and abs(floor) <= 1e-12 * abs(bias)
            if relu:
                form = Form((term._replace(clip=-np.inf),), bias)
            self.known[key] = self.linear(form, shape, relu).terms[0].plane
        return Form((Term(self.known[key]),))

    def sample(self, plane: Plane, origin: Pair, stride: Pair, size: Pair) -> Plane:
        key = ("sample", plane, origin, stride, size)
        if key not in self.known:
            settings = (origin, stride)
            self.known[key] = self.make(Operation(Kind.SAMPLE, size, (Term(plane),), 0.0,
                                                  plane in self.positive, settings))  # fmt: skip
        return self.known[key]

    # --- actions ----------------------------------------------------------------------------------

    def _convolution(
        self, action: Convolution, given: list[Form], shape: Shape, made: Shape
    ) -> list[Form]:
        weight = action.weight
        outputs, group_inputs, *kernel = weight.shape
        window = Window((kernel[0], kernel[1]), action.stride, action.before, action.dilation,
                        shape[1:], made[1:])  # fmt: skip
        terms: list[list[Term]] = [[] for _ in range(outputs)]
        bias = [0.0] * outputs if action.bias is None else [float(b) for b in action.bias]
        seen: dict[tuple[int, int, int], Form] = {}
        where = np.nonzero(weight)
        positions = np.ravel_multi_index(where, weight.shape)
        values = weight[where]
        for o, i, r, c, at, value in zip(
            *(axis.tolist() for axis in where), positions.tolist(), values.tolist(), strict=True
        ):
            channel = i + o // (outputs // action.groups) * group_inputs
            key = (channel, r, c)
            if key not in seen:
                seen[key] = self._read(given[channel], window, r, c)
            form = seen[key].weighted(action.factor, (action.tensor, at), value)
            terms[o].extend(form.terms)
            bias[o] = bias[o] + form.bias
        return [Form(tuple(t), plain(b)) for t, b in zip(terms, bias, strict=True)]

    def _read(self, form: Form, window: Window, row: int, column: int) -> Form:
        """What a kernel sees of a channel through one of its places, zero outside the channel."""
        sees = window.sees(row, column)
        if not sees.any():
            return Form()
        shape = (1, *window.given)
        if not form.terms:
            if isinstance(form.bias, np.ndarray):
                return Form((), window.at(form.bias, row, column))
            return Form((), form.bias if sees.all() else form.bias * sees)
        form = self.simple(form, shape) if sees.all() else self.bare(form, shape)
        (term,) = form.terms
        rows, columns = window.origin(row, column)
        rows, columns = rows + term.rows, columns + term.columns
        if window.keeps:
            return Form((term._replace(rows=rows, columns=columns),), form.bias)
        plane = self.sample(term.plane, (rows, columns), window.stride, window.made)
        return Form((term._replace(plane=plane, rows=0, columns=0),), form.bias)

    def _relu(self, form: Form, shape: Shape) -> Form:
        if not form.terms:
            return Form((), np.maximum(form.bias, 0.0))
        if form.single and form.terms[0].coefficient > 0:
            term, bias = form.terms[0], float(form.bias)
            clip = max(term.clip, -bias / term.coefficient)
            if clip <= 0 and term.plane in self.positive:
                clip = -np.inf
            return Form((term._replace(clip=clip),), bias)
        return self.linear(form, shape, relu=True)

    def _maximum(self, form: Form, window: Window) -> Form:
        if not form.terms:
            if isinstance(form.bias, np.ndarray):
                return Form((), plain(window.maximum(form.bias)))
            return form
        form = self.alone(form, (1, *window.given))
        if form.terms[0].coefficient < 0:  # only what grows may change places with a maximum
            form = self.linear(form, (1, *window.given), relu=False)
        term = form.terms[0]
        settings = (window.before, window.stride, window.kernel)
        relu = term.plane in self.positive
        operation = Operation(Kind.MAXIMUM, window.made, (Term(term.plane),), 0.0, relu, settings)
        return Form((term._replace(plane=self.make(operation)),), form.bias)

    def _mean(self, form: Form, window: Window) -> Form:
        if window.whole:
            return self._mean_of_all(form, window)
        result = Form()
        area = window.kernel[0] * window.kernel[1]
        for row in range(window.kernel[0]):
            for column in range(window.kernel[1]):
                result = result.plus(self._read(form, window, row, column).scaled(1 / area))
        return result

    def _mean_of_all(self, form: Form, window: Window) -> Form:
        if not form.terms:
            return Form((), float(np.mean(form.bias)))
        form = self.alone(form, (1, *window.given))
        (term,) = form.terms
        made = self.make(Operation(Kind.MEAN, (1, 1), (Term(term.plane, clip=term.clip),)))
        return Form((term._replace(plane=made, clip=-np.inf),), form.bias)

    def _pixel(self, form: Form, shape: Shape, place: Pair) -> Form:
        if shape[1:] == (1, 1):
            return form
        form = self.alone(form, shape)
        bias = float(form.bias[place]) if isinstance(form.bias, np.ndarray) else form.bias
        if not form.terms:
            return Form((), bias)
        (term,) = form.terms
        plane = self.sample(term.plane, place, (1, 1), (1, 1))
        return Form((term._replace(plane=plane),), bias)
