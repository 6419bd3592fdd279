"""Surgery: finding modules of a network and making replacements for them."""

from typing import Any

from torch import Tensor, nn


def find_modules(model: nn.Module, *kinds: type[nn.Module]) -> list[tuple[nn.Module, str, str]]:
    """Return (parent, name in the parent, full name) of every module of the given types.

    kinds: exact types; subclasses are not found.

    A module with several names is listed once per name.
    """
    found = []
    for path, module in model.named_modules(remove_duplicate=False):
        if type(module) in kinds and path:
            parent, _, name = path.rpartition(".")
            found.append((model.get_submodule(parent), name, path))
    return found


def convolution_settings(conv: nn.Conv2d) -> dict[str, Any]:
    """Return constructor arguments for a like convolution without bias, on the meta device."""
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
    """Return an nn.Conv2d or nn.Linear with the settings of `like`.

    weight: of the layer's shape; copied.
    bias: (outputs,) or None; copied.
    """
    layer: nn.Conv2d | nn.Linear
    if isinstance(like, nn.Linear):
        layer = nn.Linear(like.in_features, like.out_features, bias=False, device="meta")
    else:
        layer = nn.Conv2d(**convolution_settings(like))
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias.detach().clone()))
    return layer
