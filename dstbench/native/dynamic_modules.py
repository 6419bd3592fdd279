"""The coefficients of dynamic activations, computed by the model's modules between two segments."""

import torch
from torch import Tensor, nn

from dstbench.graph.dynamic import DynamicActivation
from dstbench.native.tables import V_FRACTION, Program
from dstbench.native.wiring import Wiring


class DynamicModules:
    """Computes coefficients from means, and the gradients of the means from theirs, by autograd.

    It also sets the gradients of the modules' own parameters. Modules are numbered in the order of
    the forward pass; one that is called twice has two numbers.
    """

    def __init__(self, model: nn.Module, wiring: Wiring):
        self.wiring = wiring
        paths = [wiring.layers.nodes[a].dynamic for a in wiring.dynamic]
        self._modules = [model.get_submodule(path) for path in paths if path is not None]
        self._graphs: list[tuple[Tensor, Tensor]] = []  # means and coefficients of each module
        self._gradients: dict[Tensor, Tensor] = {}  # parameter → gradient so far

    def put_coefficients(self, number: int, program: Program, evaluate: bool) -> None:
        """Compute the coefficients of module `number`'s channels from its means."""
        if number == 0:
            self._graphs.clear()
            self._gradients.clear()
        own, first, end = self._places(number)
        images = int(program.batch[0])
        module = self._modules[number]
        assert isinstance(module, DynamicActivation)
        means = torch.from_numpy(program.means[first:end, :images]).T
        means = means.to(next(module.parameters(), means).dtype)
        with torch.set_grad_enabled(not evaluate):
            found = module.coefficients_of(means.requires_grad_(not evaluate))
            coefficients = found.transpose(0, 1).reshape(images, -1)  # as modules compute them
        self._graphs.append((means, coefficients))
        out = torch.from_numpy(program.coefficients)[4 * first : 4 * end, :images]
        out.copy_(coefficients.detach().T)
        program.views[own, V_FRACTION] = module.relu_fraction

    def put_mean_gradients(self, number: int, program: Program) -> None:
        """Compute the gradients of the means and of parameters from those of the coefficients."""
        _, first, end = self._places(number)
        images = int(program.batch[0])
        means, coefficients = self._graphs[number]
        given = torch.from_numpy(program.coefficient_gradients)[4 * first : 4 * end, :images]
        parameters = [p for p in self._modules[number].parameters() if p.requires_grad]
        of_means, *found = torch.autograd.grad(
            coefficients,
            [means, *parameters],
            given.T.to(coefficients.dtype).contiguous(),
            allow_unused=True,
            materialize_grads=True,
        )
        for parameter, gradient in zip(parameters, found, strict=True):
            before = self._gradients.get(parameter)
            self._gradients[parameter] = gradient if before is None else before + gradient
            parameter.grad = self._gradients[parameter]
        _, height, width = self.wiring.layers.nodes[self.wiring.dynamic[number]].shape
        out = torch.from_numpy(program.mean_gradients)[first:end, :images]
        out.copy_(of_means.T / (height * width))

    def _places(self, number: int) -> tuple[slice, int, int]:
        """Return the channels of a module's node, and their rows of means: first, end."""
        own = self.wiring.of_node(self.wiring.dynamic[number])
        first = int(self.wiring.dynamic_row[own.start])
        return own, first, first + own.stop - own.start
