"""DCTpS: every layer is a dense offset, a discrete cosine transform, plus sparse weights.

Price & Tanner 2021, "Dense for the Price of Sparse: Improved Performance of Sparsely Initialized
Networks via a Subspace Offset".
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.models.surgery import convolution_settings, find_modules, plain_layer


def dct_offset(outputs: int, inputs: int) -> Tensor:
    """Return the DCT as a matrix, (inputs, outputs) float32.

    It is the first rows and columns of the orthonormal DCT-II of size N = max(inputs, outputs):
    B[i, j] = c_j cos(π(2i+1)j / 2N), c_0 = √(1/N), else √(2/N). Columns are orthonormal if
    inputs ≥ outputs, rows if inputs ≤ outputs.
    """
    n = max(inputs, outputs)
    i = torch.arange(inputs, dtype=torch.float64)[:, None]
    j = torch.arange(outputs, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi * (2 * i + 1) * j / (2 * n)) * math.sqrt(2 / n)
    matrix[:, 0] = math.sqrt(1 / n)
    return matrix.float()


class _WithOffset(nn.Module):
    """A layer x ↦ α · F(x) + W(x): dense offset F, learnable scale α, sparse weight W.

    It is linear, so training runs it as one layer with the weight αF + W. W starts at zero and α at
    1. F is rebuilt from the shape and never stored; its input order within a patch is row, column,
    channel, channel fastest.
    """

    weight: nn.Parameter
    offset: Tensor

    def take(self, layer: nn.Conv2d | nn.Linear) -> None:
        """Take the layer's tensors, and set the weight to zero."""
        self.weight, self.bias = layer.weight, layer.bias
        with torch.no_grad():
            self.weight.zero_()
        self.alpha = nn.Parameter(self.weight.new_ones(()))
        outputs = self.weight.shape[0]
        matrix = dct_offset(outputs, self.weight[0].numel()).t()  # (outputs, inputs)
        if self.weight.dim() == 4:
            _, channels, rows, columns = self.weight.shape
            matrix = matrix.reshape(outputs, rows, columns, channels).permute(0, 3, 1, 2)
        offset = torch.empty_like(self.weight, requires_grad=False).copy_(matrix)
        self.register_buffer("offset", offset, persistent=False)

    def merged(self) -> Tensor:
        """Return αF + W, the dense weight of the same function."""
        return self.weight + self.alpha * self.offset

    def forms(self) -> dict[str, Callable[[], nn.Module]]:
        """Return name → function that builds an equivalent layer with copies of the tensors.

        two-branch: α · F(x) + W(x) as two dense layers, as the EAST paper times it.
        merged: one plain layer with the weight αF + W.
        """
        assert isinstance(self, DCTConv2d | DCTLinear)
        return {
            "two-branch": lambda: TwoBranches(self),
            "merged": lambda: plain_layer(self, self.merged(), self.bias),
        }

    def offset_macs(self, positions: int) -> float:
        """Return the MACs of a fast transform: ½ q log₂ q per position, q = max(outputs, inputs).

        The ½ is fitted to the EAST paper's Table 2; its text only states O(q log q).

        positions: output positions, height · width.
        """
        q = max(self.weight.shape[0], self.weight[0].numel())
        return 0.5 * q * math.log2(q) * positions


class DCTConv2d(_WithOffset, nn.Conv2d):
    """A convolution with a dense offset, replacing `layer`."""

    def __init__(self, layer: nn.Conv2d):
        nn.Conv2d.__init__(self, **convolution_settings(layer))
        self.take(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.merged(), self.bias)


class DCTLinear(_WithOffset, nn.Linear):
    """A linear layer with a dense offset, replacing `layer`."""

    def __init__(self, layer: nn.Linear):
        nn.Linear.__init__(self, layer.in_features, layer.out_features, bias=False, device="meta")
        self.take(layer)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.merged(), self.bias)


class TwoBranches(nn.Module):
    """A trained layer as two dense layers: x ↦ α · F(x) + W(x)."""

    alpha: Tensor

    def __init__(self, layer: DCTConv2d | DCTLinear):
        super().__init__()
        self.offset = plain_layer(layer, layer.offset, None)
        self.sparse = plain_layer(layer, layer.weight, layer.bias)
        self.register_buffer("alpha", layer.alpha.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.sparse(x), self.alpha, self.offset(x))


@register("parts")
class DCTpS(Part):
    """Replaces every convolution and linear layer by one with a dense offset.

    The sparse weights W start at zero. The scale α of the offset is trained, the offset F is not;
    neither counts as a weight. Sources: Price & Tanner 2021 and its public code.

    Raises UserError: for a model without such a layer, and in combination with weight sharing.
    """

    conflicts: ClassVar[dict[str, str]] = {
        "WeightSharing": "the offset is of the size of each layer, and the paper leaves weight "
        'sharing out here "to prevent conflicts with the DCT matrices" (section 4)'
    }

    def surgery(self, state: State) -> None:
        layers = find_modules(state.model, nn.Conv2d, nn.Linear)
        if not layers:
            raise UserError(
                "DCTpS finds no convolution or linear layer in this model. Choose another model."
            )
        for parent, name, _ in layers:
            layer = getattr(parent, name)
            kind = DCTLinear if isinstance(layer, nn.Linear) else DCTConv2d
            setattr(parent, name, kind(layer))
