"""Compiles a finished network to a program that numpy or numba runs."""

from torch import nn

from dstbench.data.images import Shape
from dstbench.deployment.compiler.fold import fold
from dstbench.deployment.runtime.program import About, Program
from dstbench.errors import UserError
from dstbench.graph.trace import trace


def compile_network(model: nn.Module, image_shape: Shape, about: About | None = None) -> Program:
    """Return the program that computes the logits of `model` in eval mode.

    model: its dead weights must be zeros, as masks leave them.
    image_shape: channels, height, width.
    about: description of the network that is stored in its file.

    Raises UserError: when a layer cannot be compiled; the message names it.
    """
    for path, module in model.named_modules():
        if hasattr(module, "offset_macs"):
            raise UserError(
                f"{type(module).__name__} at {path} adds a dense offset to its sparse weights, so "
                "no weight can be left out and it cannot be compiled. "
                "`dstbench deploy RUN --dense` writes it as a dense network."
            )
    program = fold(trace(model, image_shape), image_shape)
    if about is not None:
        program.about = about
    return program
