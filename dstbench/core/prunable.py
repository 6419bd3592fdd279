"""Prunable tensors of a network: the denominator of every sparsity.

Prunable are the weights of convolutions and linear layers and the input projections of attention;
stem, shortcuts and classifier are included. Biases, normalisation, embeddings and all other
parameters are not. A tensor used by several modules counts once.

Source: the rule of Synaptic-Flow's generator and of ITOP's masking, extended to attention.
"""

from torch import nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear, nn.Bilinear)
_ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return name → prunable parameter, in the model's order, each tensor once.

    Names are those of `named_parameters`.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    found: dict[str, nn.Parameter] = {}
    for module in model.modules():
        if isinstance(module, _WEIGHTED):
            wanted: tuple[str, ...] = ("weight",)
        elif isinstance(module, nn.MultiheadAttention):
            wanted = _ATTENTION
        else:
            continue
        for attribute in wanted:
            weight = getattr(module, attribute, None)
            if isinstance(weight, nn.Parameter):
                found[names[id(weight)]] = weight
    return found


def left_out(model: nn.Module) -> dict[str, int]:
    """Return name → number of elements of every parameter that is not prunable."""
    ids = {id(weight) for weight in prunable(model).values()}
    return {name: p.numel() for name, p in model.named_parameters() if id(p) not in ids}
