"""Phasing: another activation in every ReLU's place, which is blended into ReLU during training.

EAST paper (Li et al. 2024), section 3.1 and Algorithm 1, lines 3–6.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.core.part import Part
from dstbench.core.schedules import step_at
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.models.network_copy import copy_with
from dstbench.models.surgery import find_modules


class Phased(nn.Module):
    """An activation that β blends into ReLU: 1 is the activation alone, 0 is plain ReLU.

    A subclass supplies `unphased` and `macs_unphased`.

    inplace: whether plain ReLU may overwrite its input.
    phase: 'dynamic' (β = 1), 'blended' or 'plain' (β = 0: nothing but ReLU is computed).
    beta: β, ().
    """

    is_activation = True
    training_only = True  # its parameters are not in the deployed network
    beta: Tensor

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace, self.phase = inplace, "dynamic"
        # A tensor, not a number, so that a captured or compiled step stays valid when it changes.
        self.register_buffer("beta", torch.ones(()), persistent=False)

    def set_beta(self, beta: float) -> None:
        self.phase = phase_of(beta)
        self.beta.fill_(beta)

    def extra_macs(self) -> int:
        """Return the MACs of one image that plain ReLU does not have, in the present phase.

        assumed: blending is free.
        """
        return 0 if self.phase == "plain" else self.macs_unphased()

    def macs_unphased(self) -> int:
        """Return the MACs of one image while β is not 0."""
        raise NotImplementedError

    def unphased(self, x: Tensor) -> Tensor:
        """Return the activation, blended with ReLU where β is below 1."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=self.inplace) if self.phase == "plain" else self.unphased(x)


def phase_of(beta: float) -> str:
    """Return whether an activation of this β is a plain ReLU, dynamic or blended of both."""
    return "plain" if beta <= 0 else "dynamic" if beta >= 1 else "blended"


class Phasing(Part, ABC):
    """Replaces every ReLU by a `Phased`, and blends it back into ReLU linearly from T_s to T_e.

    From `end` on it is plain ReLU, bit for bit; its parameters get no gradient and no weight decay.
    They are removed after the last step. A subclass supplies `replacement`.

    start: T_s, progress at which β leaves 1.
    end: T_e, progress at which β reaches 0.
    """

    def __init__(self, start: float, end: float):
        require(0 <= start < 1, self, "start", start, "a progress in [0, 1)")
        require(start < end < 1, self, "end", end, f"a progress after start ({start}), below 1")
        self.start, self.end = start, end

    @abstractmethod
    def replacement(self, relu: nn.ReLU, channels: int, pixels: int) -> Phased:
        """Return what takes the place of a ReLU.

        channels, pixels: of its input (B, channels, height, width), pixels = height · width.
        """

    def beta(self, step: int, total_steps: int) -> float:
        """Return β for the forward pass after `step` optimizer steps."""
        begin, end = self.start * total_steps, self.final_structure_step(total_steps)
        return 1 - min(max((step - begin) / (end - begin), 0.0), 1.0)

    def final_structure_step(self, total_steps: int) -> int:
        return step_at(self.end, total_steps)

    def replaces(self, model: nn.Module, place: str) -> bool:
        """Return whether the ReLU of this full name is replaced; before any is."""
        return True

    def surgery(self, state: State) -> None:
        name = type(self).__name__
        if any(isinstance(module, Phased) for module in state.model.modules()):
            raise UserError(f"{name}: another part phases activations already. Keep one of them.")
        shapes = _input_shapes(state.model, state.image_shape, name)
        relus = find_modules(state.model, nn.ReLU)
        chosen = {place for _, _, place in relus if self.replaces(state.model, place)}
        for parent, attribute, place in relus:
            if place in shapes and place in chosen:  # modules never called keep their ReLU
                _, channels, height, width = shapes[place]
                relu = getattr(parent, attribute)
                setattr(parent, attribute, self.replacement(relu, channels, height * width))

    def before_step(self, state: State) -> None:
        beta = self.beta(state.step, state.total_steps)
        for module in state.model.modules():
            if isinstance(module, Phased):
                if module.phase == phase_of(beta) != "blended":
                    return  # all have this β
                module.set_beta(beta)

    def extra_training_macs(self, state: State) -> int:
        if self.beta(state.step, state.total_steps) <= 0:
            return 0
        return sum(m.extra_macs() for m in state.model.modules() if isinstance(m, Phased))

    def finish(self, state: State) -> None:
        kinds = {type(module) for module in state.model.modules() if isinstance(module, Phased)}
        for parent, name, _ in find_modules(state.model, *kinds):
            setattr(parent, name, nn.ReLU(getattr(parent, name).inplace))


def _input_shapes(
    model: nn.Module, image_shape: tuple[int, int, int], part: str
) -> dict[str, torch.Size]:
    """Return full name → shape (1, C, H, W) of the input of every ReLU that a pass calls.

    part: named in messages.
    """
    twin = copy_with(model, Tensor.clone)  # on the meta device, if the model is
    shapes: dict[str, torch.Size] = {}

    def note(place: str, x: Tensor) -> None:
        if x.dim() != 4 or shapes.get(place, x.shape)[1] != x.shape[1]:
            raise UserError(
                f"{part}: the ReLU at {place} sees {list(x.shape)}; it needs images "
                f"(B, C, H, W), always of the same channels. Leave {part} out."
            )
        shapes[place] = x.shape

    for place, module in twin.named_modules(remove_duplicate=False):
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, args, place=place: note(place, args[0]))
    with torch.no_grad():
        twin(next(model.parameters()).new_zeros(1, *image_shape))
    return shapes
