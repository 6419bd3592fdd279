"""`network.onnx`: the network as a dense one, without channels that are constant or unread.

Batch norm is folded into the convolution before it, constant channels become biases, channels that
no logit needs are left out, and the rest of every layer is dense. The result is exact, and meant
for other runtimes rather than for speed. Input `images` (n, C, H, W), normalised; output `logits`
(n, classes).
"""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dstbench.data.images import Shape
from dstbench.deployment.compiler.expressions import Bias
from dstbench.deployment.compiler.fold import constants_of
from dstbench.deployment.compiler.live_channels import dense_weight, live_channels
from dstbench.deployment.compiler.rewrites import fold_batch_norm
from dstbench.graph.dynamic import refuse_dynamic
from dstbench.graph.steps import (
    Affine,
    Convolution,
    Dynamic,
    Flatten,
    Pool,
    Relu,
    Step,
    Sum,
)

_OPSET, _IR_VERSION = 17, 9


def onnx_bytes(steps: list[Step], image_shape: Shape) -> bytes:
    """Return the ONNX model of traced steps. Needs the onnx library.

    image_shape: channels, height, width.
    """
    import onnx

    steps = fold_batch_norm(steps)
    graph = _OnnxGraph(steps, image_shape)
    for number, step in enumerate(steps, 1):
        graph.take(number, step)
    return graph.finish(onnx).SerializeToString()


def onnx_logits(content: bytes, images: np.ndarray) -> np.ndarray:
    """Return the logits of an ONNX model in onnxruntime, float32 (n, classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images})
    return np.asarray(logits)


class _OnnxGraph:
    """Nodes and initialisers so far.

    shapes: (channels, height, width) of every value, the image first.
    constants: of every channel of every value, None where it has none.
    live: numbers of the channels of every value that the graph computes.
    names: of the values so far; "" where a value has no live channel.
    """

    def __init__(self, steps: list[Step], image_shape: Shape):
        self.shapes = [image_shape, *(step.shape for step in steps)]
        self.constants = _constants(steps, image_shape)
        self.live = live_channels(steps, image_shape, self.constants)
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.initialisers: dict[str, np.ndarray] = {}
        self.names = ["images"]
        if len(self.live[0]) < image_shape[0]:
            self.names[0] = self._gather("images", self.live[0])

    def take(self, number: int, step: Step) -> None:
        """Add the nodes of step `number`."""
        self.names.append(self._node_of(step, self.live[number]) if len(self.live[number]) else "")

    def _node_of(self, step: Step, live: np.ndarray) -> str:
        source = step.inputs[0]
        match step.action:
            case Convolution() as action:
                return self._convolution(action, step, live)
            case Sum():
                return self._sum(step, live)
            case Flatten():
                return self._planes(self._node("Flatten", [self.names[source]], axis=1))
            case Relu():
                return self._node("Relu", [self._channels(source, live)])
            case Affine(scale, shift):
                scale_name = self._array(scale[live][None, :, None, None])
                shift_name = self._array(shift[live][None, :, None, None])
                scaled = self._node("Mul", [self._channels(source, live), scale_name])
                return self._node("Add", [scaled, shift_name])
            case Dynamic() as action:
                refuse_dynamic(action)
            case Pool() as action:
                pads = _pads(action, self.shapes[source], step.shape)
                return self._pool(action, self._channels(source, live), pads)

    def _convolution(self, action: Convolution, step: Step, live: np.ndarray) -> str:
        source = step.inputs[0]
        inputs, (_, height, width) = self.live[source], self.shapes[source]
        weight = dense_weight(action)[live]
        pads = _pads(action, self.shapes[source], step.shape)
        bias = self._constant_part(action, source, weight, pads)
        if action.bias is not None:
            bias = bias + action.bias[live][:, None, None]
        if not len(inputs):
            return self._constant(bias)
        if step.shape[1:] == (1, 1) == (height, width) and weight.shape[2:] == (1, 1):
            flat = self._node("Flatten", [self.names[source]], axis=1)
            linear = [flat, self._array(weight[:, inputs, 0, 0]), self._array(bias[:, 0, 0])]
            return self._planes(self._node("Gemm", linear, transB=1))
        uniform = (bias == bias[:, :1, :1]).all()  # else it is a plane, and is added afterwards
        conv_inputs = [self.names[source], self._array(weight[:, inputs])]
        if uniform:
            conv_inputs.append(self._array(bias[:, 0, 0]))
        result = self._node(
            "Conv",
            conv_inputs,
            strides=action.stride,
            dilations=action.dilation,
            pads=pads,
            kernel_shape=weight.shape[2:],
        )
        return result if uniform else self._node("Add", [result, self._array(bias[None])])

    def _constant_part(
        self, action: Convolution, source: int, weight: np.ndarray, pads: tuple[int, ...]
    ) -> np.ndarray:
        """Return the convolution of the constant channels alone, (outputs, height, width).

        Without such channels it is zero, (outputs, 1, 1).
        """
        if not any(constant is not None for constant in self.constants[source]):
            return np.zeros((len(weight), 1, 1))
        planes = np.zeros((weight.shape[1], *self.shapes[source][1:]))
        for channel, constant in enumerate(self.constants[source]):
            if constant is not None:
                planes[channel] = constant
        above, left, below, right = pads
        padded = F.pad(torch.from_numpy(planes)[None], (left, right, above, below))
        kernel = torch.from_numpy(weight)
        result = F.conv2d(padded, kernel, stride=action.stride, dilation=action.dilation)
        return result[0].numpy()

    def _constant(self, planes: np.ndarray) -> str:
        """Add planes that no image changes, repeated for each image."""
        shape = self._node("Shape", ["images"])
        count = self._node("Gather", [shape, self._array(np.array([0]), np.int64)], axis=0)
        size = self._array(np.array(planes.shape), np.int64)
        target = self._node("Concat", [count, size], axis=0)
        return self._node("Expand", [self._array(planes[None]), target])

    def _planes(self, name: str) -> str:
        """Return a value (n, channels) as planes of one pixel: every value has four dimensions."""
        return self._node("Unsqueeze", [name, self._array(np.array([2, 3]), np.int64)])

    def _sum(self, step: Step, live: np.ndarray) -> str:
        sides = step.inputs if len(step.inputs) == 2 else step.inputs * 2
        constant_part = np.zeros((len(live), *step.shape[1:]))
        for value in sides:
            for at, channel in enumerate(live):
                constant = self.constants[value][channel]
                if constant is not None:
                    constant_part[at] += constant
        left, right = (self._channels(value, live) for value in sides)
        result = self._node("Add", [left, right]) if left and right else left or right
        if constant_part.any():
            result = self._node("Add", [result, self._array(constant_part[None])])
        return result

    def _pool(self, action: Pool, source: str, pads: tuple[int, ...]) -> str:
        settings = {"kernel_shape": action.window, "strides": action.stride, "pads": pads}
        if action.maximum:
            return self._node("MaxPool", [source], **settings)
        return self._node("AveragePool", [source], count_include_pad=1, **settings)

    def _channels(self, value: int, channels: np.ndarray) -> str:
        """Return the name of a value with exactly these channels, zeros for those not computed."""
        held = {channel: at for at, channel in enumerate(self.live[value].tolist())}
        name, indices = self.names[value], [held.get(c, len(held)) for c in channels.tolist()]
        if not held:
            return ""
        if indices == list(range(len(held))):
            return name
        if len(held) in indices:
            zero = self._node("Mul", [self._gather(name, np.array([0])), self._array(np.zeros(()))])
            name = self._node("Concat", [name, zero], axis=1)
        return self._gather(name, np.array(indices))

    def _gather(self, name: str, channels: np.ndarray) -> str:
        return self._node("Gather", [name, self._array(channels, np.int64)], axis=1)

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}
        self.nodes.append((kind, inputs, name, plain))
        return name

    def _array(self, values: np.ndarray, dtype: Any = np.float32) -> str:
        name = f"w{len(self.initialisers)}"
        self.initialisers[name] = np.ascontiguousarray(values, dtype=dtype)
        return name

    def finish(self, onnx: Any) -> Any:
        """Return the checked model."""
        helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
        self.nodes.append(("Flatten", [self.names[-1]], "logits", {"axis": 1}))
        graph = helper.make_graph(
            [helper.make_node(kind, i, [o], name=o, **a) for kind, i, o, a in self.nodes],
            "network",
            [helper.make_tensor_value_info("images", float32, ["n", *self.shapes[0]])],
            [helper.make_tensor_value_info("logits", float32, ["n", self.shapes[-1][0]])],
            [onnx.numpy_helper.from_array(a, name) for name, a in self.initialisers.items()],
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        return model


def _constants(steps: list[Step], image_shape: Shape) -> list[list[Bias | None]]:
    """Return the constant of every channel of every value, the image first, or None without one.

    Where every filter has a live weight, as in a dense network, none are looked for: following
    millions of weights takes minutes. The graph computes a constant that is not known.
    """
    filters = [step.action.weight for step in steps if isinstance(step.action, Convolution)]
    if all(weight.reshape(len(weight), -1).any(1).all() for weight in filters):
        return [[None] * channels for channels, *_ in (image_shape, *(s.shape for s in steps))]
    return constants_of(steps, image_shape)


def _pads(action: Convolution | Pool, shape: Shape, output_shape: Shape) -> tuple[int, ...]:
    """Return the rows above, columns to the left, rows below and columns to the right."""
    after = []
    for axis in (0, 1):
        if isinstance(action, Convolution):
            span = (action.weight.shape[2 + axis] - 1) * action.dilation[axis] + 1
        else:
            span = action.window[axis]
        reach = (output_shape[1 + axis] - 1) * action.stride[axis] + span
        after.append(max(0, reach - shape[1 + axis] - action.padding[axis]))
    return (*action.padding, *after)
