"""From the steps of a traced network to its nodes."""

from dataclasses import dataclass, field, replace

from dstbench.data.images import Shape
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
from dstbench.graph.unsupported import Unsupported
from dstbench.native.layers import Filters, Layers, Node


def layers_of(steps: list[Step], image_shape: Shape) -> Layers:
    """Return the nodes of a traced network.

    Raises Unsupported: for a batch norm, a pooling or a weight that is not known here.
    """
    return _Reader(steps, image_shape).read()


@dataclass
class _Open:
    """A sum that is not a node yet."""

    shape: Shape
    filters: list[Filters] = field(default_factory=list)
    links: list[int] = field(default_factory=list)


class _Reader:
    """Turns steps into nodes; a value is a node's number, or a sum that is still open."""

    def __init__(self, steps: list[Step], image_shape: Shape):
        self.steps = steps
        self.layers = Layers([Node(image_shape, relu=False)])
        self.values: list[int | _Open] = [0]
        self.reads = [0] * (len(steps) + 1)
        for step in steps:
            for value in step.inputs:
                self.reads[value] += 1
        self.linked: set[int] = set()

    def read(self) -> Layers:
        for number, step in enumerate(self.steps, 1):
            value = self._apply(step)
            if isinstance(value, _Open) and self.reads[number] > 1:
                value = self._close(value, relu=False)
            self.values.append(value)
        last = self.values[-1]
        number = self._close(last, relu=False) if isinstance(last, _Open) else last
        if number != len(self.layers.nodes) - 1 or self.layers.nodes[number].shape[1:] != (1, 1):
            raise Unsupported("The network's last layer does not compute one number a class.")
        return self.layers

    def _apply(self, step: Step) -> int | _Open:
        action, first = step.action, step.inputs[0]
        if isinstance(action, Convolution):
            return _Open(step.shape, [self._convolution(action, first)])
        if isinstance(action, Affine):
            return self._norm(action, first)
        if isinstance(action, Sum):
            opened = [self._opened(value) for value in step.inputs]
            filters = [f for part in opened for f in part.filters]
            return _Open(step.shape, filters, [n for part in opened for n in part.links])
        if isinstance(action, Relu):
            return self._close(self._opened(first), relu=True)
        if isinstance(action, Dynamic):
            return self._dynamic(action, first)
        if isinstance(action, Pool):
            return self._pool(action, first, step.shape)
        if isinstance(action, Flatten):
            return (
                self.values[first] if step.shape[0] == self._shape(first)[0] else self._node(first)
            )
        raise Unsupported(f"{type(action).__name__} is no layer that native training knows.")

    def _shape(self, value: int) -> Shape:
        found = self.values[value]
        return found.shape if isinstance(found, _Open) else self.layers.nodes[found].shape

    def _opened(self, value: int) -> _Open:
        found = self.values[value]
        if isinstance(found, _Open):
            return found
        return _Open(self.layers.nodes[found].shape, [], [found])

    def _node(self, value: int) -> int:
        found = self.values[value]
        if isinstance(found, _Open):
            found = self.values[value] = self._close(found, relu=False)
        return found

    def _convolution(self, action: Convolution, value: int) -> Filters:
        node = self._node(value)
        kernel = (action.weight.shape[2], action.weight.shape[3])
        shape = self.layers.nodes[node].shape
        if action.weight.shape[1] * action.groups != shape[0]:  # its planes were flattened
            kernel = (shape[1], shape[2])
        if " " in action.tensor:  # no name of a parameter, see TracedTensors.stored
            raise Unsupported("A weight is computed from others in a way that is not known.")
        if action.bias is not None and action.bias_name is None:
            raise Unsupported("A bias is computed.")
        if action.scale is not None and " " in action.scale:
            raise Unsupported(f"{action.tensor} is multiplied by {action.scale}.")
        return Filters(
            node,
            action.weight.shape[0],
            action.tensor,
            kernel,
            action.stride,
            action.padding,
            action.dilation,
            action.groups,
            scale=action.scale,
            factor=1.0 if action.scale is not None else action.factor,
            bias=action.bias_name,
        )

    def _norm(self, action: Affine, value: int) -> _Open:
        norm = action.norm
        if norm is None or norm.momentum == 0:
            raise Unsupported(
                "A batch norm without running averages, or with momentum None or 0, is not known."
            )
        found = self.values[value]
        shape = self._shape(value)
        if len(action.scale) != shape[0]:
            raise Unsupported("A batch norm of single pixels is not known.")
        if isinstance(found, _Open) and len(found.filters) == 1 and not found.links:
            filters = found.filters[0]
            if filters.norm is None and filters.bias is None:
                return _Open(shape, [replace(filters, norm=norm)])
        same = _same_channels(self._node(value), shape[0], (1, 1), (1, 1), (0, 0), 1.0)
        return _Open(shape, [replace(same, norm=norm)])

    def _pool(self, action: Pool, value: int, shape: Shape) -> int | _Open:
        node = self._node(value)
        if action.maximum:
            if node in self.linked:
                raise Unsupported("A value is both added elsewhere and pooled by its maximum.")
            self.linked.add(node)
            return self._add(Node(shape, (), node, relu=False, maximum=action))
        rows, columns = action.window
        mean = _same_channels(
            node, shape[0], action.window, action.stride, action.padding, 1 / (rows * columns)
        )
        return _Open(shape, [mean])

    def _dynamic(self, action: Dynamic, value: int) -> int:
        """Add the node of a dynamic activation; what it reads is linked to nothing else."""
        node = self._node(value)
        shape = self.layers.nodes[node].shape
        if node == 0 or node in self.linked or self.layers.nodes[node].dynamic:
            same = _same_channels(node, shape[0], (1, 1), (1, 1), (0, 0), 1.0)
            node = self._close(_Open(shape, [same]), relu=False)
        self.linked.add(node)
        return self._add(Node(shape, (), node, relu=False, dynamic=action.module))

    def _close(self, opened: _Open, relu: bool) -> int:
        """Add the node of a sum. Further links of it, or of one node, become filters."""
        filters, link = list(opened.filters), None
        for node in opened.links:
            if link is None and node not in self.linked:
                link = node
                self.linked.add(node)
            else:
                filters.append(_same_channels(node, opened.shape[0], (1, 1), (1, 1), (0, 0), 1.0))
        first = len(self.layers.filters)
        self.layers.filters += filters
        numbers = tuple(range(first, first + len(filters)))
        return self._add(Node(opened.shape, numbers, link, relu))

    def _add(self, node: Node) -> int:
        self.layers.nodes.append(node)
        return len(self.layers.nodes) - 1


def _same_channels(
    node: int, channels: int, kernel: Pair, stride: Pair, padding: Pair, weight: float
) -> Filters:
    """Return a convolution with a fixed weight, of each channel by itself."""
    return Filters(
        node, channels, None, kernel, stride, padding, (1, 1), groups=channels, fixed=weight
    )
