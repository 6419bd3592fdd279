"""Prunable tensors of a network: the denominator of every sparsity.

Prunable are the weights of convolutions, transposed ones included, linear and bilinear layers and
the input projections of attention; stem, shortcuts and classifier are included. Biases,
normalisation, embeddings and all other parameters are not; those that are no bias and no norm's are
dense weights beside the sparse ones, so they are reported. A tensor used by several modules counts
once.

Source: the rule of Synaptic-Flow's generator and of ITOP's masking, extended to attention.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # batch norm and instance norm, of any dimension

from dstbench.errors import UserError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED = (*_CONVOLUTIONS, *TRANSPOSED, nn.Linear, nn.Bilinear)
_NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return name → prunable parameter, in the model's order, each tensor once.

    Names are those of `named_parameters`.

    Raises UserError: when a weight is computed from other tensors, as by weight_norm or another
        parametrization. A mask on what it is computed from is no mask on the weight.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    found: dict[str, nn.Parameter] = {}
    for path, module in model.named_modules():
        if isinstance(module, _WEIGHTED):
            wanted: tuple[str, ...] = ("weight",)
        elif isinstance(module, nn.MultiheadAttention):
            wanted = _ATTENTION
        else:
            continue
        for attribute in wanted:
            if _is_computed(module, attribute):
                raise UserError(
                    f"{'.'.join(filter(None, (path, attribute)))} is no parameter: it is computed "
                    "from others (weight_norm, spectral_norm, torch.nn.utils.parametrize or "
                    ".prune), so it cannot be masked. Build the model without it, or make it "
                    "permanent first, such as with remove_parametrizations.",
                    "Run.model",
                )
            weight = getattr(module, attribute, None)
            if isinstance(weight, nn.Parameter):
                found[names[id(weight)]] = weight
    return found


def _is_computed(module: nn.Module, attribute: str) -> bool:
    """Return whether a weight is a plain tensor or a property instead of a parameter."""
    if attribute in getattr(module, "parametrizations", ()):
        return True
    weight = getattr(module, attribute, None)
    return isinstance(weight, Tensor) and not isinstance(weight, nn.Parameter)


def left_out(model: nn.Module) -> dict[str, int]:
    """Return name → number of elements of every parameter that is not prunable."""
    ids = {id(weight) for weight in prunable(model).values()}
    return {name: p.numel() for name, p in model.named_parameters() if id(p) not in ids}


@dataclass(frozen=True)
class Unpruned:
    """Trainable weights of a network that are never pruned, of whatever shape.

    sizes: name → elements, in the model's order.
    fraction: of these and the prunable weights, in [0, 1]; embeddings apart, which are looked up
        and not multiplied with.
    """

    sizes: dict[str, int]
    fraction: float


def unpruned(model: nn.Module) -> Unpruned:
    """Return the weights that the sparsity does not cover.

    Apart from the prunable ones, only these are not among them: biases, the scale of a layer, the
    vectors of normalisation and activations, and parameters of modules that serve training only
    (`training_only = True`). Each is known by the type of its module, never by name or shape alone:
    a parameter of the model's own may be used as a matrix, whatever its shape.
    """
    weights = prunable(model).values()
    apart = {id(p) for p in weights}
    pruned = sum(p.numel() for p in weights)
    embeddings: set[int] = set()
    for module in model.modules():
        apart |= {id(p) for p in _beside_weights(module)}
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            embeddings.add(id(module.weight))
    sizes, counted = {}, 0
    for name, parameter in model.named_parameters():
        if id(parameter) in apart or not parameter.requires_grad:
            continue
        sizes[name] = parameter.numel()
        if id(parameter) not in embeddings:
            counted += parameter.numel()
    return Unpruned(sizes, counted / max(1, counted + pruned))


def _beside_weights(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters of a module that are no weights."""
    if getattr(module, "training_only", False):
        yield from module.parameters()
        return
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, _WEIGHTED):
        scales = [p for name, p in own.items() if name not in ("weight", "bias") and p.dim() == 0]
        yield from scales[:1]  # of the whole weight, as in weight sharing and in DCTpS
        names: tuple[str, ...] = ("bias",)
    elif isinstance(module, nn.MultiheadAttention):
        names = ("in_proj_bias", "bias_k", "bias_v")
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        names = tuple(name for name in own if name.startswith("bias_"))
    elif isinstance(module, (*_NORMALISATIONS, nn.PReLU)):
        names = ("weight", "bias")
    else:
        return
    for name in names:
        if (parameter := own.get(name)) is not None and _is_vector(parameter):
            yield parameter


def _is_vector(parameter: nn.Parameter) -> bool:
    """Return whether all elements are along one dimension."""
    return parameter.numel() == max(parameter.shape, default=1)
