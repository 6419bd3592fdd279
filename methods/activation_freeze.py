"""ActivationFreeze: the parameters of a phased activation stop training when its phasing begins.

The public EAST code (TensorStrike/ES2, option --disable_drelu_grad); the paper's text does not
mention it.
"""

from torch import nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.methods.phasing import Phased


@register("parts")
class ActivationFreeze(Part):
    """Stops training the parameters of phased activations, such as DyReLU's.

    From `start` on they get no gradient, no momentum and no weight decay; their activations are
    computed as before. Put it after DyReLUPhasing or ActivationPhasing.

    The public EAST code compares the epoch with T_s = a quarter of the epochs for equality, so with
    the paper's 250 epochs (T_s = 62.5) it never freezes.

    start: T_s, progress from which they are frozen, in [0, 1).

    Raises UserError: when no activation with parameters is phased.
    """

    def __init__(self, start: float = 0.25):
        require(0 <= start < 1, self, "start", start, "a progress in [0, 1)")
        self.start = start

    def surgery(self, state: State) -> None:
        if not _parameters(state.model):
            raise UserError(
                "ActivationFreeze finds no phased activation with parameters. Put DyReLUPhasing "
                "(or ActivationPhasing) before it, or leave it out."
            )

    def before_step(self, state: State) -> None:
        if state.step < self.start * state.total_steps:
            return
        for parameter in _parameters(state.model):
            if not parameter.requires_grad:
                return  # all are frozen already
            parameter.requires_grad_(False)
            parameter.grad = None


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    phased = (module for module in model.modules() if isinstance(module, Phased))
    return [parameter for module in phased for parameter in module.parameters()]
