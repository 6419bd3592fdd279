"""Weight sharing: later blocks of a stage use the convolutions of an earlier block.

EAST paper (Li et al. 2024), section 3.2.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.models.surgery import convolution_settings, plain_layer


class SharedConv2d(nn.Conv2d):
    """A convolution with the weight tensor of another one, times its own learnable scale.

    Batch norm in training mode directly after it nearly cancels the scale: only its sign matters,
    and its size relative to the norm's epsilon.

    owner: convolution whose weight tensor is used.
    replaced: convolution that this one replaces; its bias is kept.
    scale: initial scale, ().
    """

    def __init__(self, owner: nn.Conv2d, replaced: nn.Conv2d, scale: Tensor):
        super().__init__(**convolution_settings(owner))
        self.weight = owner.weight
        self.bias = replaced.bias
        self.scale = nn.Parameter(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.scale, self.bias)

    def forms(self) -> dict[str, Callable[[], nn.Module]]:
        """Return name → function that builds an equivalent layer: merged, with a scaled weight."""
        return {"merged": lambda: plain_layer(self, self.weight * self.scale, self.bias)}


@register("parts")
class WeightSharing(Part):
    """Blocks after the `owner`-th of each stage use that block's convolutions and masks.

    A stage is an nn.Sequential of blocks of one class that contain convolutions. Later blocks keep
    their own normalisation, activations and shortcuts. Sparsity refers to the original network, so
    the same number of live weights is divided among fewer tensors.

    owner: R of the paper, counted from 1, for all stages or one number for each; at least 2,
        because a stage's first block changes the shape. Stages of at most R blocks share nothing.
        R = 2 gives the 13.9 M stored weights of the paper's Table 2.
    """

    def __init__(self, owner: int | Sequence[int] = 2):
        allowed = "at least 2: a first block changes the shape"
        for one in (owner,) if isinstance(owner, int) else owner:
            require(one >= 2, self, "owner", owner, allowed)
        self.owner = owner

    def surgery(self, state: State) -> None:
        found = stages(state.model)
        if not found:
            raise UserError(
                "WeightSharing finds no stage in this model: it shares within an nn.Sequential of "
                "blocks of one class, as in the ResNets of dstbench. Leave WeightSharing out."
            )
        owners = [self.owner] * len(found) if isinstance(self.owner, int) else self.owner
        allowed = f"one number, or one for each of the {len(found)} stages"
        require(len(owners) == len(found), self, "owner", self.owner, allowed)
        for (name, stage), number in zip(found.items(), owners, strict=True):
            owner, followers = stage[number - 1 : number], stage[number:]
            for i, block in enumerate(followers):
                _share(owner[0], block, state, f"{name}.{number + i}")


def stages(model: nn.Module) -> dict[str, nn.Sequential]:
    """Return name → stage: an nn.Sequential of blocks of one class that contain convolutions."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Sequential) and _is_stage(module)
    }


def shares(block: nn.Module) -> bool:
    """Return whether a direct child of the block uses the convolution of another block."""
    return any(isinstance(child, SharedConv2d) for child in block.children())


def _is_stage(module: nn.Sequential) -> bool:
    kinds = {type(block) for block in module}
    return (
        len(kinds) == 1
        and not issubclass(kinds.pop(), nn.Sequential | nn.Conv2d)
        and all(_convolutions(block) for block in module)
    )


def _convolutions(block: nn.Module) -> dict[str, nn.Conv2d]:
    """Return a block's direct convolutions by name; its shortcut's are nested and not shared."""
    return {name: child for name, child in block.named_children() if isinstance(child, nn.Conv2d)}


def _kind(conv: nn.Conv2d) -> tuple[object, ...]:
    """Return the settings that two convolutions must have in common to share a weight."""
    settings = (conv.stride, conv.padding, conv.padding_mode, conv.dilation, conv.groups)
    return (conv.weight.shape, *settings)


def _share(owner: nn.Module, block: nn.Module, state: State, place: str) -> None:
    owned = _convolutions(owner)
    for name, conv in _convolutions(block).items():
        source = owned.get(name)
        if source is None or _kind(source) != _kind(conv):
            found = "none" if source is None else f"{list(source.weight.shape)}"
            raise UserError(
                f"WeightSharing: {place}.{name} of shape {list(conv.weight.shape)} cannot share: "
                f"the owning block has {found} of that name and kind. Choose another "
                "WeightSharing.owner, or leave WeightSharing out.",
                "WeightSharing.owner",
            )
        # assumed: drawn from U(0, 1), as in the authors' code; the paper does not specify it
        scale = torch.rand((), generator=state.rng)
        setattr(block, name, SharedConv2d(source, conv, scale))
