"""From a finished network to a program that numpy and numba run."""

from typing import Any

from torch import nn

from dstbench.data.images import Shape
from dstbench.deploy.compiler.fold import fold
from dstbench.deploy.compiler.trace import trace
from dstbench.deploy.runtime.program import Program
from dstbench.errors import UserError


def compile_network(
    model: nn.Module, image_shape: Shape, about: dict[str, Any] | None = None
) -> Program:
    """The program that computes what `model` does in eval mode, for images (channels, height,
    width). Dead weights must be zeros, as masks leave them.

    about: what is to be known of the network: `classes`, `mean`, `std`, and whatever JSON has.
    Raises UserError, naming the layer, for a network that cannot be compiled.
    """
    for place, module in model.named_modules():
        if hasattr(module, "offset_macs"):
            raise UserError(
                f"{type(module).__name__} at {place} adds a dense transform to its sparse weights, "
                "so there is nothing to leave out and it cannot be compiled. "
                "`dstbench deploy RUN --dense` writes it as the dense network that it is."
            )
    program = fold(trace(model, image_shape), image_shape)
    program.about |= about or {}
    return program
