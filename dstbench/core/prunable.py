"""Which tensors of a network may be sparse: the denominator of every sparsity in the suite.

Prunable are the weights of convolutions and linear layers and attention's input projections, the
stem, shortcuts and classifier included. Biases, normalisation, embeddings and everything else are
left out, and can be listed. A tensor used in several places is one tensor.

Source: the rule of Synaptic-Flow's generator and ITOP's masking, extended to attention.
"""

from torch import nn

_WEIGHTED = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.Linear, nn.Bilinear,
)  # fmt: skip
_ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name → parameter, in the model's own order, each tensor once, under the name that
    `named_parameters` gives it."""
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
    """Name → number of elements of every parameter that is never pruned."""
    ids = {id(weight) for weight in prunable(model).values()}
    return {name: p.numel() for name, p in model.named_parameters() if id(p) not in ids}
