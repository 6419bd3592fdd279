"""The coefficients of dynamic activations, and their gradients, computed between two segments.

All matrices have one row a channel and one column an image, as the tables of the kernels have.
"""

import torch
from torch import Tensor, nn

from dstbench.graph.dynamic import DynamicActivation
from dstbench.native.tables import V_FRACTION, Program
from dstbench.native.wiring import Wiring


class DynamicModules:
    """The coefficients of every dynamic activation, in the order of the forward pass."""

    def __init__(self, model: nn.Module, wiring: Wiring):
        self._nets: list[_Net] = []
        for a in wiring.dynamic:
            node = wiring.layers.nodes[a]
            module = model.get_submodule(node.dynamic or "")
            assert isinstance(module, DynamicActivation)
            own, pixels = wiring.of_node(a), node.shape[1] * node.shape[2]
            self._nets.append(_Net(module, own, int(wiring.dynamic_row[own.start]), pixels))
        self._written: set[nn.Parameter] = set()

    def put_coefficients(self, number: int, program: Program) -> None:
        """Compute the coefficients of activation `number` from its means."""
        self._written.clear()
        self._nets[number].forward(program)

    def put_mean_gradients(self, number: int, program: Program) -> None:
        """Compute the gradients of the means and of parameters from those of the coefficients."""
        for parameter, gradient in self._nets[number].backward(program).items():
            if not parameter.requires_grad:
                continue
            gradient = gradient.to(parameter.dtype)
            if parameter in self._written and parameter.grad is not None:
                gradient += parameter.grad  # of a module that is called twice
            self._written.add(parameter)
            parameter.grad = gradient


class _Net:
    """The two layers of one activation.

    own: its channels.
    first: their first row of means.
    pixels: of a channel.
    """

    def __init__(self, module: DynamicActivation, own: slice, first: int, pixels: int):
        self.module, self.own, self.pixels = module, own, pixels
        self.channels = own.stop - own.start
        self.rows = slice(first, first + self.channels)
        self.coefficient_rows = slice(4 * first, 4 * (first + self.channels))
        self._theta = torch.empty(0)  # 2σ(…) − 1

    @torch.no_grad()
    def forward(self, program: Program) -> None:
        module, images = self.module, int(program.batch[0])
        self._means = torch.from_numpy(program.means)[self.rows, :images]
        number = self._means.dtype
        self._blending = module.blending()
        self._squeeze = module.squeeze_weight.to(number)
        self._excite = module.excite_weight.to(number)
        bias = module.squeeze_bias.to(number)[:, None]
        self._hidden = torch.addmm(bias, self._squeeze, self._means).relu_()
        if self._theta.shape != (4 * self.channels, images) or self._theta.dtype != number:
            self._theta = torch.empty((4 * self.channels, images), dtype=number)
        bias = module.excite_bias.to(number)[:, None]
        torch.addmm(bias, self._excite, self._hidden, out=self._theta)
        self._theta.sigmoid_().mul_(2).sub_(1)
        out = torch.from_numpy(program.coefficients)[self.coefficient_rows, :images]
        for coefficients, theta, start, factor in self._four(out):
            torch.mul(theta, factor, out=coefficients)
            if start:
                coefficients += start
        program.views[self.own, V_FRACTION] = self._blending.relu

    @torch.no_grad()
    def backward(self, program: Program) -> dict[nn.Parameter, Tensor]:
        """Return the gradients of the parameters; write those of the means, of one pixel."""
        module, images = self.module, int(program.batch[0])
        raw = torch.from_numpy(program.coefficient_gradients)[self.coefficient_rows, :images]
        slope = self._theta.mul_(self._theta).sub_(1)  # dθ = (1 − θ²) / 2 of what σ is taken of
        for part, _, _, factor in self._four(slope):
            part *= -factor / 2
        slope *= raw
        hidden = (self._excite.T @ slope).mul_(self._hidden > 0)
        out = torch.from_numpy(program.mean_gradients)[self.rows, :images]
        torch.mul(self._squeeze.T @ hidden, 1 / self.pixels, out=out)
        return {
            module.squeeze_weight: hidden @ self._means.T,
            module.squeeze_bias: hidden.sum(1),
            module.excite_weight: slope @ self._hidden.T,
            module.excite_bias: slope.sum(1),
        }

    def _four(self, rows: Tensor) -> list[tuple[Tensor, Tensor, float, float]]:
        """Return, of a₁, a₂, b₁ and b₂: the given rows, those of θ, start and range."""
        start, factor, _ = self._blending
        parts, thetas = rows.split(self.channels), self._theta.split(self.channels)
        return list(zip(parts, thetas, start, factor, strict=True))
