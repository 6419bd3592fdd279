"""The coefficients of dynamic activations, and their gradients, computed between two segments.

All matrices have one row a channel and one column an image, as the tables of the kernels have.
"""

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.graph.dynamic import DynamicActivation
from dstbench.native.compiled_passes import Compiled
from dstbench.native.tables import C_COEFFICIENTS, V_FRACTION, Program
from dstbench.native.wiring import Wiring


class DynamicModules:
    """The coefficients of every dynamic activation, in the order of the forward pass."""

    def __init__(self, model: nn.Module, wiring: Wiring):
        self._nets: list[_Net] = []
        for a in wiring.dynamic:
            module = model.get_submodule(wiring.layers.nodes[a].dynamic or "")
            assert isinstance(module, DynamicActivation)
            self._nets.append(_Net(module, wiring, a))
        self._written: set[nn.Parameter] = set()

    def begin(self, compiled: Compiled) -> None:
        """Begin a step."""
        self._written.clear()
        for net in self._nets:
            net.use(compiled)

    def put_coefficients(self, number: int, program: Program) -> None:
        """Compute the coefficients of activation `number` from its means."""
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
    """The two layers of one activation, of whose outputs only those of computed channels are used.

    node: its number.
    """

    def __init__(self, module: DynamicActivation, wiring: Wiring, node: int):
        self.module, self.wiring = module, wiring
        self.own = wiring.of_node(node)
        channels, height, width = wiring.layers.nodes[node].shape
        self.channels, self.pixels = channels, height * width
        first = int(wiring.dynamic_row[self.own.start])
        self._mean_rows = slice(first, first + channels)
        self._compiled: Compiled | None = None

    def use(self, compiled: Compiled) -> None:
        """Find the computed channels, and their rows."""
        if compiled is self._compiled:
            return
        self._compiled = compiled
        run = np.flatnonzero(compiled.live.run[self.own])
        self._count = len(run)
        self._kept = torch.from_numpy(run + self.channels * np.arange(4)[:, None]).reshape(-1)
        first = int(compiled.forward.channels[self.own.start, C_COEFFICIENTS])
        self._rows = slice(first, first + 4 * self._count)

    @torch.no_grad()
    def forward(self, program: Program) -> None:
        module, images = self.module, int(program.batch[0])
        self._means = torch.from_numpy(program.means)[self._mean_rows, :images]
        number = self._means.dtype
        blending = module.blending()
        start, factor = torch.tensor(blending[:2], dtype=number)[:, :, None, None]
        self._slope = 2 * factor  # of a coefficient by σ
        self._squeeze = module.squeeze_weight.to(number)
        self._excite = self._of_kept(module.excite_weight.to(number))
        bias = module.squeeze_bias.to(number)[:, None]
        self._hidden = torch.addmm(bias, self._squeeze, self._means).relu_()
        bias = self._of_kept(module.excite_bias.to(number))[:, None]
        self._gate = torch.addmm(bias, self._excite, self._hidden).sigmoid_()
        out = torch.from_numpy(program.coefficients)[self._rows, :images]
        torch.mul(self._four(self._gate), self._slope, out=self._four(out)).add_(start - factor)
        program.views[self.own, V_FRACTION] = blending.relu

    @torch.no_grad()
    def backward(self, program: Program) -> dict[nn.Parameter, Tensor]:
        """Return the gradients of the parameters; write those of the means, of one pixel."""
        module, images = self.module, int(program.batch[0])
        found = torch.from_numpy(program.coefficient_gradients)[self._rows, :images]
        found = torch.ops.aten.sigmoid_backward(found, self._gate)
        self._four(found).mul_(self._slope)
        hidden = (self._excite.T @ found).mul_(self._hidden > 0)
        out = torch.from_numpy(program.mean_gradients)[self._mean_rows, :images]
        torch.mul(self._squeeze.T @ hidden, 1 / self.pixels, out=out)
        return {
            module.squeeze_weight: hidden @ self._means.T,
            module.squeeze_bias: hidden.sum(1),
            module.excite_weight: self._of_all(found @ self._hidden.T),
            module.excite_bias: self._of_all(found.sum(1)),
        }

    def _of_kept(self, rows: Tensor) -> Tensor:
        """Return the rows of computed channels."""
        return rows if self._count == self.channels else rows[self._kept]

    def _of_all(self, rows: Tensor) -> Tensor:
        """Return rows of computed channels with zeros between them."""
        if self._count == self.channels:
            return rows
        found = rows.new_zeros((4 * self.channels, *rows.shape[1:]))
        return found.index_copy_(0, self._kept, rows)

    def _four(self, rows: Tensor) -> Tensor:
        """Return the rows of a₁, a₂, b₁ and b₂: (4, channels, images)."""
        return rows.unflatten(0, (4, self._count))
