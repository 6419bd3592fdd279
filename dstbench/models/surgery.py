"""Replacing modules of a network: what several parts need when they operate on one."""

from typing import Any

from torch import Tensor, nn


def places_of(model: nn.Module, *kinds: type[nn.Module]) -> list[tuple[nn.Module, str, str]]:
    """(parent, name in the parent, full name) of every module of exactly one of the kinds.

    A module that stands in several places is listed at each.
    """
    found = []
    for place, module in model.named_modules(remove_duplicate=False):
        if type(module) in kinds and place:
            parent, _, name = place.rpartition(".")
            found.append((model.get_submodule(parent), name, place))
    return found


def convolution_settings(conv: nn.Conv2d) -> dict[str, Any]:
    """Constructor arguments for a convolution of the same kind, its tensors left unallocated."""
    return {
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "kernel_size": conv.kernel_size,
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
        "groups": conv.groups,
        "padding_mode": conv.padding_mode,
        "bias": False,
        "device": "meta",
    }


def plain_layer(like: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A plain layer of the settings of `like`, with copies of these tensors."""
    layer: nn.Conv2d | nn.Linear
    if isinstance(like, nn.Linear):
        layer = nn.Linear(like.in_features, like.out_features, bias=False, device="meta")
    else:
        layer = nn.Conv2d(**convolution_settings(like))
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias.detach().clone()))
    return layer
