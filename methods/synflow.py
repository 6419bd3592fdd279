"""SynFlow: iteratively prune the weights of the least synaptic flow, before training.

Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic
flow", Algorithm 1.
"""

import copy
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.core.masks import flat
from dstbench.core.part import Part
from dstbench.core.prunable import prunable
from dstbench.core.selection import largest
from dstbench.core.state import State
from dstbench.errors import UserError, require, require_sparsity
from dstbench.methods.global_pruning import live_and_stored
from dstbench.sparsity import density

_TOLERANCE = 0.01  # of R, for the sum of a tensor's scores


@register("parts")
class SynFlow(Part):
    """Chooses static masks: the weights of the highest score |θ · ∂R/∂θ| over all layers.

    R is the sum of the logits for an input of ones, in eval mode, with every tensor replaced by its
    absolute value. No data is used, only the image shape. Scores are in float64: in float32 R
    overflows on ResNet-34. Weights keep their values. Layers of residual networks may end empty:
    the paper's theorem does not cover these networks.

    Refused are networks whose R is not linear in each tensor, see `refuse_without_conservation`.

    Put KaimingNormal before it to score and train the weights that its authors draw. Scores of
    PyTorch's own initial weights choose other masks.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    rounds: times to score and prune, with exponentially falling live weights.
    """

    def __init__(self, sparsity: float, rounds: int = 100):
        require_sparsity(self, sparsity)
        require(rounds >= 1, self, "rounds", rounds, "at least 1")
        self.sparsity, self.rounds = sparsity, rounds

    def init_masks(self, state: State) -> None:
        target, total = live_and_stored(self, state)
        flow = Flow(state.model, state.image_shape)
        flow.refuse_vanishing()
        refuse_without_conservation(flow)
        of_stored = density(self.sparsity) * state.dense_numel / total
        for keep in kept_per_round(of_stored, target, total, self.rounds):
            scores = flow.scores()  # all zero once pruning has cut the network, then random
            flow.prune_(largest(-scores, len(scores) - keep, state.rng))
        refuse_without_conservation(
            flow
        )  # GELU is linear for large values, and bent for small ones
        for name, index in zip(state.masks.parameters, flow.survivors, strict=True):
            state.set_live_(name, index.to(state.masks.parameters[name].device))


def kept_per_round(density: Fraction, target: int, total: int, rounds: int) -> list[int]:
    """Return the weights left after each round; `target` after the last.

    After round i these are total − ⌊(1 − density^(i/rounds)) · total⌋, as in the published code.
    The masks depend on every count: rounding the density first changes most of them.

    density: (1 − sparsity) · prunable weights of the original network / total, not rounded.
    target: live weights, round(density · total).
    total: stored prunable weights; tensors that layers share count once.
    """
    kept = [
        total - math.floor((1 - float(density) ** (i / rounds)) * total) for i in range(1, rounds)
    ]
    return [*(max(k, target) for k in kept), target]


class Flow:
    """A float64 copy of a network with positive tensors; scores and prunes its weights.

    The network itself is not changed.

    survivors: for each prunable tensor, its unpruned weights as sorted flat indices in storage
        order.
    """

    def __init__(self, model: nn.Module, image_shape: tuple[int, int, int]):
        self.model = copy.deepcopy(model).cpu().double().eval()
        with torch.no_grad():
            for tensor in [*self.model.parameters(), *self.model.buffers()]:
                if tensor.dtype != torch.bool:
                    tensor.abs_()
        self.weights = list(prunable(self.model).values())
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for weight in self.weights:
            weight.requires_grad_(True)
        self.survivors = [torch.arange(weight.numel()) for weight in self.weights]
        self.ones = torch.ones(1, *image_shape, dtype=torch.float64)

    def refuse_vanishing(self) -> None:
        """Refuse a network whose scores, before any pruning, are rounding noise.

        Raises UserError: when the scores vanish or are not finite.
        """
        scores = self.scores()
        with torch.no_grad():
            size = self.model(self.ones).abs().sum()
        if not torch.isfinite(scores).all() or not scores.sum() > 1e-9 * size:
            raise UserError(
                "SynFlow's scores vanish or are not finite on this model, so they rank nothing. "
                "It needs a network that is linear once its weights are positive (convolution, "
                "linear, batch norm, ReLU, pooling); choose another method."
            )

    def scores(self) -> Tensor:
        """Return |θ · ∂R/∂θ| of every survivor, (n,) float64, tensor after tensor."""
        return torch.cat(self.scores_by_tensor())

    @torch.enable_grad()
    def scores_by_tensor(self) -> list[Tensor]:
        """Return the same, one vector for each prunable tensor."""
        total = self.model(self.ones).sum()
        gradients = torch.autograd.grad(total, self.weights, allow_unused=True)
        scores: list[Tensor] = []
        for weight, gradient, at in zip(self.weights, gradients, self.survivors, strict=True):
            if gradient is None:
                scores.append(torch.zeros(len(at), dtype=torch.float64))
                continue
            if gradient.stride() != weight.stride():
                gradient = torch.empty_like(weight).copy_(gradient)
            score = flat(weight).index_select(0, at)
            scores.append(score.mul_(flat(gradient).index_select(0, at)).abs_())
        return scores

    @torch.no_grad()
    def prune_(self, lost: Tensor) -> None:
        """Prune the survivors at these indices of `scores()`."""
        sizes = [len(at) for at in self.survivors]
        stays = torch.ones(sum(sizes), dtype=torch.bool)
        stays[lost] = False
        for i, stay in enumerate(stays.split(sizes)):
            flat(self.weights[i]).index_fill_(0, self.survivors[i][~stay], 0.0)
            self.survivors[i] = self.survivors[i][stay]


@torch.no_grad()
def refuse_without_conservation(flow: Flow) -> None:
    """Refuse a network on which synaptic flow is not conserved (section 4 and Theorem 1).

    The scores of a tensor sum to the part of R that passes through it, R − R(tensor = 0): all of it
    in a chain of layers, less beside a shortcut. A tensor that is used m times may have up to m
    times as much. LayerNorm, GELU and attention break this law, and then scores of different layers
    cannot be compared. Biases, which add to R, are left out.

    Raises UserError: when a sum is off by more than 1 % of R.
    """
    uses = _uses(flow)
    with _without_biases(flow.model):
        total = float(flow.model(flow.ones).sum())
        sums = [float(scores.sum()) for scores in flow.scores_by_tensor()]
        for (name, weight), score in zip(prunable(flow.model).items(), sums, strict=True):
            kept = weight.clone()
            weight.zero_()
            through = total - float(flow.model(flow.ones).sum())
            weight.copy_(kept)
            lowest, highest = sorted((through, through * max(1, uses[weight])))
            off = _TOLERANCE * abs(total)
            if not lowest - off <= score <= highest + off:
                raise UserError(
                    f"SynFlow's scores of {name} sum to {score:.3g}, but {through:.3g} of "
                    f"R = {total:.3g} passes through it: synaptic flow is not conserved in this "
                    "model. SynFlow needs a network that is linear once its weights are positive "
                    "(convolution, linear, batch norm, ReLU, pooling); choose another method."
                )


@contextmanager
def _without_biases(model: nn.Module) -> Iterator[None]:
    """Set biases, and means that are subtracted, to zero for a while."""
    named = [*model.named_parameters(), *model.named_buffers()]
    biases = [t for n, t in named if n.rpartition(".")[2].endswith(("bias", "running_mean"))]
    kept = [bias.clone() for bias in biases]
    for bias in biases:
        bias.zero_()
    try:
        yield
    finally:
        for bias, value in zip(biases, kept, strict=True):
            bias.copy_(value)


def _uses(flow: Flow) -> Counter[Tensor]:
    """Return tensor → calls, in one forward pass, of modules that hold it."""
    uses: Counter[Tensor] = Counter()

    def count(module: nn.Module, *_: object) -> None:
        uses.update(p for p in module._parameters.values() if p is not None)

    handles = [module.register_forward_pre_hook(count) for module in flow.model.modules()]
    flow.model(flow.ones)
    for handle in handles:
        handle.remove()
    return uses
