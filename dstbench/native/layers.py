"""A network as nodes: each is an activation of a sum of convolutions with their batch norms.

Everything else is written as one of these: a mean over windows is a convolution with fixed weights,
a linear layer a convolution of planes of one pixel.
"""

from dataclasses import dataclass, field

from dstbench.data.images import Shape
from dstbench.graph.steps import BatchNorm, Pair, Pool


@dataclass(frozen=True)
class Filters:
    """A convolution that a node adds up, with its batch norm.

    input: number of the node that it reads.
    outputs: number of its filters.
    weight: name of its tensor, or None where all weights are one fixed number, `fixed`.
    kernel, stride, padding, dilation: (rows, columns) each.
    groups: number of groups.
    scale: name of the parameter that the tensor is multiplied by, or None.
    factor: a fixed number that the tensor is multiplied by.
    bias: name of its bias, or None.
    norm: its batch norm, or None.
    """

    input: int
    outputs: int
    weight: str | None
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    fixed: float = 1.0
    scale: str | None = None
    factor: float = 1.0
    bias: str | None = None
    norm: BatchNorm | None = None


@dataclass(frozen=True)
class Node:
    """max(Σ filters + link, 0), or the sum itself; or a maximum or dynamic activation of its link.

    shape: channels, height, width.
    filters: numbers in `Layers.filters`.
    link: number of the node that is added, or None.
    relu: whether it is clipped at 0.
    maximum: the windows whose maximum is taken, or None.
    dynamic: path of the module that computes the dynamic activation's coefficients, or None.
    """

    shape: Shape
    filters: tuple[int, ...] = ()
    link: int | None = None
    relu: bool = True
    maximum: Pool | None = None
    dynamic: str | None = None


@dataclass
class Layers:
    """A whole network.

    nodes: node 0 is the images; the last one is the logits. A node reads earlier ones only.
    filters: the convolutions, in the order of their nodes.
    """

    nodes: list[Node]
    filters: list[Filters] = field(default_factory=list)


def weight_names(layers: Layers) -> list[str]:
    """Return the names of the weight tensors, each once, in the order of their first use."""
    return list(dict.fromkeys(f.weight for f in layers.filters if f.weight is not None))
