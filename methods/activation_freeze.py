"""ActivationFreeze: the parameters of a phased activation stop training when its phasing begins.

The public EAST code (TensorStrike/ES2, option --disable_drelu_grad); the paper's text does not
mention it.
"""

from torch import nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.phasing import Phased


@register("parts")
class ActivationFreeze(Part):
    """Stops training the parameters of activations, such as DyReLU's, when their phasing begins.

    From the first step with β below 1 they get no gradient, no momentum and no weight decay; their
    activations are computed as before. Put it after DyReLUPhasing or ActivationPhasing.

    The public EAST code does so by the epoch: at T_s, a quarter of the epochs, compared for
    equality. So with the paper's 250 epochs (T_s = 62.5) it never freezes.

    Raises UserError: when no activation with parameters is phased.
    """

    def surgery(self, state: State) -> None:
        if not any(list(module.parameters()) for module in _phased(state.model)):
            raise UserError(
                "ActivationFreeze finds no phased activation with parameters. Put DyReLUPhasing "
                "(or ActivationPhasing) before it, or leave it out."
            )

    def before_step(self, state: State) -> None:
        for module in _phased(state.model):
            if module.phase == "dynamic":
                return  # all are in the same phase
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None


def _phased(model: nn.Module) -> list[Phased]:
    return [module for module in model.modules() if isinstance(module, Phased)]
