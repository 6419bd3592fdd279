"""`network.onnx`: the network as a dense one without the channels that never mattered.

Batch norm is folded into the convolution before it; constant channels become biases, channels that
reach no logit go; what is left of every layer is dense. Exact, but made for other runtimes, not for
speed: `network.dst` is. Input `images` (n, C, H, W), normalised; output `logits` (n, classes).
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dstbench.data.images import Shape
from dstbench.deploy.compiler.fold import constants_of
from dstbench.deploy.compiler.graph import (
    Affine,
    Convolution,
    Flatten,
    Pool,
    Relu,
    Step,
    Sum,
)


def write_onnx(steps: list[Step], image_shape: Shape) -> bytes:
    """The ONNX model of what `trace` found. Needs the onnx library."""
    import onnx

    steps = _with_norm_folded(steps)
    graph = _Graph(steps, image_shape)
    for number, step in enumerate(steps, 1):
        graph.take(number, step)
    return graph.finish(onnx).SerializeToString()


def _with_norm_folded(steps: list[Step]) -> list[Step]:
    """Batch norm that alone reads a convolution becomes part of it."""
    readers = Counter(value for step in steps for value in step.inputs)
    number = {0: 0}  # of a value, before and after
    result: list[Step] = []
    for old, step in enumerate(steps, 1):
        inputs = tuple(number[value] for value in step.inputs)
        before = steps[step.inputs[0] - 1].action if step.inputs[0] else None
        alone = readers[step.inputs[0]] == 1
        if isinstance(step.action, Affine) and isinstance(before, Convolution) and alone:
            scale, shift = step.action.scale, step.action.shift
            bias = 0 if before.bias is None else before.bias
            last = result[inputs[0] - 1].action
            assert isinstance(last, Convolution)
            merged = replace(
                last, weight=last.weight * scale[:, None, None, None], bias=bias * scale + shift
            )
            result[inputs[0] - 1] = replace(result[inputs[0] - 1], action=merged)
            number[old] = inputs[0]
        else:
            result.append(replace(step, inputs=inputs))
            number[old] = len(result)
    return result


class _Graph:
    """Nodes and initialisers so far. Value k is called v{k} and holds the channels `kept[k]`."""

    def __init__(self, steps: list[Step], image_shape: Shape):
        self.shapes = [image_shape, *(step.shape for step in steps)]
        self.constants = constants_of(steps, image_shape)
        self.kept = self._kept(steps)
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.initialisers: dict[str, np.ndarray] = {}
        self.values = ["images"]
        if len(self.kept[0]) < image_shape[0]:
            self.values[0] = self._gather("images", self.kept[0])

    def _kept(self, steps: list[Step]) -> list[np.ndarray]:
        """Channels of every value that are not constant and are needed."""
        needed = [np.zeros(shape[0], bool) for shape in self.shapes]
        needed[-1][:] = True
        for number, step in reversed(list(enumerate(steps, 1))):
            for value in step.inputs:
                if isinstance(step.action, Convolution):
                    used = _dense(step.action)[needed[number]].any((0, 2, 3))
                elif isinstance(step.action, Flatten):
                    used = needed[number].reshape(self.shapes[value][0], -1).any(1)
                else:
                    used = needed[number]
                needed[value] |= used
        kept: list[np.ndarray] = []
        for number, (need, constant) in enumerate(zip(needed, self.constants, strict=True)):
            keep = need & np.array([c is None for c in constant])
            if number and isinstance(steps[number - 1].action, Flatten):
                source = kept[steps[number - 1].inputs[0]]
                area = len(need) // self.shapes[steps[number - 1].inputs[0]][0]
                keep = np.zeros(len(need), bool)
                keep.reshape(-1, area)[source] = True
            kept.append(np.flatnonzero(keep))
        kept[-1] = np.arange(self.shapes[-1][0])
        return kept

    def take(self, number: int, step: Step) -> None:
        action, kept = step.action, self.kept[number]
        if not len(kept):
            self.values.append("")
            return
        if isinstance(action, Convolution):
            made = self._convolution(action, step, kept)
        elif isinstance(action, Sum):
            made = self._sum(step, kept)
        elif isinstance(action, Flatten):
            made = self.node("Flatten", [self.values[step.inputs[0]]], axis=1)
        else:
            given = self._on(step.inputs[0], kept)
            if isinstance(action, Relu):
                made = self.node("Relu", [given])
            elif isinstance(action, Affine):
                scaled = self.node("Mul", [given, self.array(_column(action.scale[kept]))])
                made = self.node("Add", [scaled, self.array(_column(action.shift[kept]))])
            else:
                made = self._pool(action, given, self.shapes[step.inputs[0]], step.shape)
        self.values.append(made)

    def _convolution(self, action: Convolution, step: Step, kept: np.ndarray) -> str:
        source = step.inputs[0]
        given, (_, height, width) = self.kept[source], self.shapes[source]
        weight = _dense(action)[kept]
        settings = {"stride": action.stride, "dilation": action.dilation}
        pads = _pads(action, self.shapes[source], step.shape)
        # What constant inputs and the bias come to, pixel by pixel.
        planes = np.zeros((weight.shape[1], height, width))
        for channel, constant in enumerate(self.constants[source]):
            if constant is not None:
                planes[channel] = constant
        padded = F.pad(torch.from_numpy(planes)[None], (pads[1], pads[3], pads[0], pads[2]))
        rest = F.conv2d(padded, torch.from_numpy(weight), **settings)[0].numpy()  # type: ignore
        if action.bias is not None:
            rest = rest + action.bias[kept][:, None, None]
        if not len(given):
            return self._constant(rest)
        flat = (rest == rest[:, :1, :1]).all()
        if step.shape[1:] == (1, 1) == (height, width) and weight.shape[2:] == (1, 1):
            linear = [self._flattened(source), self.array(weight[:, given, 0, 0]),
                      self.array(rest[:, 0, 0])]  # fmt: skip
            return self.node("Gemm", linear, transB=1)
        inputs = [self.values[source], self.array(weight[:, given])]
        made = self.node("Conv", [*inputs, *([self.array(rest[:, 0, 0])] if flat else [])],
                         strides=action.stride, dilations=action.dilation, pads=pads,
                         kernel_shape=weight.shape[2:])  # fmt: skip
        return made if flat else self.node("Add", [made, self.array(rest[None])])

    def _flattened(self, value: int) -> str:
        return self.node("Flatten", [self.values[value]], axis=1)

    def _constant(self, planes: np.ndarray) -> str:
        """Planes that no image changes, as many as there are images."""
        shape = self.node("Shape", ["images"])
        count = self.node("Gather", [shape, self.array(np.array([0]), np.int64)], axis=0)
        whole = planes[:, 0, 0] if planes.shape[1:] == (1, 1) else planes
        size = self.array(np.array(whole.shape), np.int64)
        target = self.node("Concat", [count, size], axis=0)
        return self.node("Expand", [self.array(whole[None]), target])

    def _sum(self, step: Step, kept: np.ndarray) -> str:
        sides = step.inputs if len(step.inputs) == 2 else step.inputs * 2
        rest = np.zeros((len(kept), *step.shape[1:]))
        for value in sides:
            for at, channel in enumerate(kept):
                constant = self.constants[value][channel]
                if constant is not None:
                    rest[at] += constant
        left, right = (self._on(value, kept) for value in sides)
        made = self.node("Add", [left, right]) if left and right else left or right
        return self.node("Add", [made, self.array(rest[None])]) if rest.any() else made

    def _pool(self, action: Pool, given: str, shape: Shape, made: Shape) -> str:
        pads = _pads(action, shape, made)
        settings = {"kernel_shape": action.window, "strides": action.stride, "pads": pads}
        if action.maximum:
            return self.node("MaxPool", [given], **settings)
        return self.node("AveragePool", [given], count_include_pad=1, **settings)

    def _on(self, value: int, channels: np.ndarray) -> str:
        """The value with exactly these channels, zeros for those that it does not hold."""
        held = {channel: at for at, channel in enumerate(self.kept[value].tolist())}
        name, places = self.values[value], [held.get(c, len(held)) for c in channels.tolist()]
        if not held:
            return ""
        if places == list(range(len(held))):
            return name
        if len(held) in places:
            zero = self.node("Mul", [self._gather(name, np.array([0])), self.array(np.zeros(()))])
            name = self.node("Concat", [name, zero], axis=1)
        return self._gather(name, np.array(places))

    def _gather(self, name: str, places: np.ndarray) -> str:
        return self.node("Gather", [name, self.array(places, np.int64)], axis=1)

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}
        self.nodes.append((kind, inputs, name, plain))
        return name

    def array(self, values: np.ndarray, dtype: Any = np.float32) -> str:
        name = f"w{len(self.initialisers)}"
        self.initialisers[name] = np.ascontiguousarray(values, dtype=dtype)
        return name

    def finish(self, onnx: Any) -> Any:
        helper, single = onnx.helper, onnx.TensorProto.FLOAT
        self.nodes.append(("Flatten", [self.values[-1]], "logits", {"axis": 1}))
        graph = helper.make_graph(
            [helper.make_node(kind, i, [o], name=o, **a) for kind, i, o, a in self.nodes],
            "network",
            [helper.make_tensor_value_info("images", single, ["n", *self.shapes[0]])],
            [helper.make_tensor_value_info("logits", single, ["n", self.shapes[-1][0]])],
            [onnx.numpy_helper.from_array(a, name) for name, a in self.initialisers.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return model


def _dense(action: Convolution) -> np.ndarray:
    """The weight times its factor, groups written out as zeros."""
    weight = action.weight * action.factor
    if action.groups == 1:
        return weight
    outputs, inputs = weight.shape[:2]
    whole = np.zeros((outputs, inputs * action.groups, *weight.shape[2:]))
    for output in range(outputs):
        first = output // (outputs // action.groups) * inputs
        whole[output, first : first + inputs] = weight[output]
    return whole


def _pads(action: Convolution | Pool, shape: Shape, made: Shape) -> tuple[int, ...]:
    """Rows above, columns to the left, rows below, columns to the right."""
    after = []
    for axis in (0, 1):
        if isinstance(action, Convolution):
            span = (action.weight.shape[2 + axis] - 1) * action.dilation[axis] + 1
        else:
            span = action.window[axis]
        reach = (made[1 + axis] - 1) * action.stride[axis] + span
        after.append(max(0, reach - shape[1 + axis] - action.before[axis]))
    return (*action.before, *after)


def _column(numbers: np.ndarray) -> np.ndarray:
    return numbers[None, :, None, None]
