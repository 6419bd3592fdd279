"""GlobalPruning: first masks of the highest scores over all layers together, before training.

The part that SNIP, iterative SNIP, FORCE, GraSP and magnitude at initialisation share: a subclass
scores every weight, and the number of live weights falls over one or several rounds.
"""

import copy
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from dstbench.core.masks import flat, gradient_of
from dstbench.core.part import Part
from dstbench.core.prunable import prunable
from dstbench.core.selection import largest
from dstbench.core.state import State
from dstbench.errors import UserError, require, require_sparsity
from dstbench.sparsity import density, live_total


def live_and_stored(part: Part, state: State) -> tuple[int, int]:
    """Return the live weights that `part.sparsity` asks for, and the weights that are stored.

    Stored are the elements of all prunable tensors; one that layers share counts once.

    Raises UserError: when no weight would be live, or more than are stored.
    """
    target = live_total(part.sparsity, state.dense_numel)
    require(target >= 1, part, "sparsity", part.sparsity, "low enough to keep one weight")
    total = sum(p.numel() for p in state.masks.parameters.values())
    allowed = f"so high that {total} stored weights suffice (shared ones counted once)"
    require(target <= total, part, "sparsity", part.sparsity, allowed)
    return target, total


def live_per_round(density: Fraction, target: int, total: int, rounds: int) -> list[int]:
    """Return the weights left after each round: ⌊density^(i/rounds) · total⌋ after round i.

    density: (1 − sparsity) · prunable weights of the original network / total.
    target: live weights after the last round, round(density · total); the fewest of any round.
    total: stored prunable weights.
    """
    left = [int(float(density) ** (i / rounds) * total) for i in range(1, rounds)]
    return [*(max(count, target) for count in left), target]


class ScoredCopy:
    """A copy of a network, to score its weights; pruned ones are zero.

    The network itself, the statistics of its batch norms included, is not changed. Vectors are of
    all prunable tensors one after another, each in storage order.

    model: the copy; only its prunable weights have gradients.
    weights: its prunable tensors, in the model's order.
    sizes: their numbers of elements.
    initial: their values before any pruning, (total,).
    live: which of them are not pruned, (total,) bool.
    """

    def __init__(self, model: nn.Module, training: bool):
        self.model = copy.deepcopy(model).train(training)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        self.weights = list(prunable(self.model).values())
        for weight in self.weights:
            weight.requires_grad_(True)
        self.sizes = [weight.numel() for weight in self.weights]
        self.initial = self.values()
        self.live = torch.ones_like(self.initial, dtype=torch.bool)

    def values(self) -> Tensor:
        """Return a copy of the weights as they are now, (total,)."""
        return torch.cat([flat(weight) for weight in self.weights])

    def take_gradients(self) -> Tensor:
        """Return the gradients of all backward passes since the last call, summed, (total,)."""
        found = []
        for weight in self.weights:
            gradient = gradient_of(weight)
            found.append(torch.zeros_like(flat(weight)) if gradient is None else gradient)
            weight.grad = None
        return torch.cat(found)

    @torch.no_grad()
    def keep_(self, index: Tensor) -> None:
        """Prune all weights but those at `index`, which have their initial values."""
        self.live = torch.zeros_like(self.live).index_fill_(0, index, True)
        kept = torch.where(self.live, self.initial, 0.0).split(self.sizes)
        for weight, values in zip(self.weights, kept, strict=True):
            flat(weight).copy_(values)


class GlobalPruning(Part, ABC):
    """Chooses static masks: the weights of the highest scores over all layers together.

    A subclass defines the score. Layers may end empty. Weights keep their values.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    rounds: times to score and prune, with exponentially falling live weights.
    batch_statistics: whether weights are scored with batch norm, and all else, in training mode:
        normalised by the statistics of the batch. Otherwise by the running ones, which at
        initialisation are mean 0 and variance 1.

    revives: whether a pruned weight may come back in a later round; a class attribute. All that
        tie with the last weight kept then stay until the last round, which is exact.

    Raises UserError: when a setting is out of range, and when the scores of the whole network
        vanish or are not finite.
    """

    revives: ClassVar[bool] = False

    def __init__(self, sparsity: float, rounds: int = 1, batch_statistics: bool = True):
        require_sparsity(self, sparsity)
        require(rounds >= 1, self, "rounds", rounds, "at least 1")
        self.sparsity, self.rounds, self.batch_statistics = sparsity, rounds, batch_statistics

    @abstractmethod
    def scores(self, state: State, network: ScoredCopy) -> Tensor:
        """Return the score of every weight, (total,), in the order of `network.initial`.

        The highest are kept, ties broken at random. Scores of weights that cannot come back are
        not looked at.
        """

    def init_masks(self, state: State) -> None:
        target, total = live_and_stored(self, state)
        network = ScoredCopy(state.model, self.batch_statistics)
        of_stored = density(self.sparsity) * state.dense_numel / total
        for done, left in enumerate(live_per_round(of_stored, target, total, self.rounds), start=1):
            scores = self.scores(state, network)
            if done == 1:
                self._refuse_vanishing(scores)
            if self.revives:
                kept = largest(scores, left, state.rng)
                if done < self.rounds:
                    kept = (scores >= scores[kept].min()).nonzero().view(-1)
            else:
                index = network.live.nonzero().view(-1)
                kept = index[largest(scores[index], left, state.rng)]
            network.keep_(kept)
        for name, live in zip(
            state.masks.parameters, network.live.split(network.sizes), strict=True
        ):
            state.set_live_(name, live.nonzero().view(-1))

    def _refuse_vanishing(self, scores: Tensor) -> None:
        """Refuse a network whose scores, before any pruning, rank nothing."""
        if not torch.isfinite(scores).all() or not scores.any():
            raise UserError(
                f"{type(self).__name__}'s scores of this model's initial weights vanish or are not "
                "finite, so they rank nothing. Choose another method or initialisation."
            )
