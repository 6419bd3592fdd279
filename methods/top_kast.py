"""Top-KAST: the largest weights compute, and more than these are trained.

Jayakumar et al. 2020, "Top-KAST: top-k always sparse training" (NeurIPS; arXiv 2106.03517),
section 2. No code of its authors was found.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.core.budget import Budget, OfBudget
from dstbench.core.masks import flat, gradient_of
from dstbench.core.prunable import prunable
from dstbench.core.selection import largest, largest_free
from dstbench.core.state import State
from dstbench.core.update_schedule import UpdateSchedule
from dstbench.errors import require

MODULE = "top_kast"  # name of the module of hidden weights, in the model


class Hidden(nn.Module):
    """Weights that are trained and do not compute, a tensor like each prunable one.

    They are parameters, so that the optimizer steps them as it does all others. In a forward pass
    it does nothing.
    """

    training_only = True

    def __init__(self, weights: Sequence[Tensor]):
        super().__init__()
        self.tensors = nn.ParameterList(torch.zeros_like(weight) for weight in weights)

    def forward(self, x: Tensor) -> Tensor:
        return x


@register("parts")
class TopKAST(OfBudget):
    """Computes with each layer's largest weights (A), and trains more of its largest (B).

    Every weight keeps a value: live weights are A; those of B that are not in A are stepped by the
    optimizer, with the gradient they would have if they computed with the value zero; the rest
    wait at their last value, at first the initial one. An update sorts all values anew. A weight
    that enters A has its trained value at once, so masks move by magnitude alone.

    The exploration penalty pulls the weights of B outside A to zero more strongly than those of A,
    so that only those with a consistent gradient enter: an L2 penalty of weight_decay / D for a
    density D of the network, where A has the optimizer's.

    Hidden weights take as much memory as the dense network. Steps are counted with dense weight
    gradients, as they are computed here; the paper's are those of B alone. After the last update
    nothing is hidden any more.

    of: the budget that divides A among layers, such as @ERK().
    backward: weights of B for each of A, at least 1.
    weight_decay: L2 coefficient of the optimizer, for the exploration penalty, at least 0.
    updates_per_run: evenly spaced updates, including the one at the end, which is omitted.
    update_interval: optimizer steps between updates; if given, updates_per_run is not used.

    Departures: the optimizer's state of a weight that enters A starts anew; that of one that leaves
    A is what it was when it last was hidden, decayed since.

    Raises UserError: when a setting is out of range, or `of` is no budget.
    """

    moves_masks = True

    def __init__(
        self,
        of: Budget,
        backward: float = 2.0,
        weight_decay: float = 0.0,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
    ):
        super().__init__(of)
        require(backward >= 1, self, "backward", backward, "at least 1")
        require(weight_decay >= 0, self, "weight_decay", weight_decay, "at least 0")
        self.backward, self.weight_decay = backward, weight_decay
        self.update_schedule = UpdateSchedule(self, update_interval, updates_per_run)

    def check(self, total_steps: int) -> None:
        super().check(total_steps)
        self.update_schedule.refuse_never(self, total_steps)

    def surgery(self, state: State) -> None:
        state.model.add_module(MODULE, Hidden(list(prunable(state.model).values())))

    @torch.no_grad()
    def init_masks(self, state: State) -> None:
        counts = self.of.live_counts(state, self.sparsity)
        for name, hidden in self._hidden(state):
            self._sort(
                state, name, hidden, flat(state.masks.parameters[name]).clone(), counts[name]
            )

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return self.update_schedule.next_update(step - 1, total_steps) is not None

    @torch.no_grad()
    def after_backward(self, state: State) -> None:
        explores = self.needs_dense_gradients(state.step + 1, state.total_steps)
        extra = self.weight_decay * (1 / (1 - self.sparsity) - 1)
        for name, hidden in self._hidden(state):
            gradient = gradient_of(state.masks.parameters[name])
            hidden.grad = None
            if explores and gradient is not None:
                explored = state.memory[f"top_kast_explored/{name}"]
                hidden.grad = torch.zeros_like(hidden)
                flat(hidden.grad).copy_((gradient + extra * flat(hidden)).where(explored, 0.0))

    @torch.no_grad()
    def after_step(self, state: State) -> None:
        for name, hidden in self._hidden(state):
            if hidden.grad is None:
                continue  # frozen, or after the last update
            # where the optimizer's momentum moved a weight that has left B
            flat(hidden).masked_fill_(~state.memory[f"top_kast_explored/{name}"], 0.0)
            if self.update_schedule.is_due(state.step, state.total_steps):
                values = flat(state.masks.parameters[name]) + flat(hidden)
                values += state.memory[f"top_kast_waiting/{name}"]
                self._sort(state, name, hidden, values, state.masks.live(name))

    def finish(self, state: State) -> None:
        delattr(state.model, MODULE)

    def _hidden(self, state: State) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the name and the hidden weights of every prunable tensor."""
        yield from zip(state.masks.parameters, getattr(state.model, MODULE).tensors, strict=True)

    def _sort(
        self, state: State, name: str, hidden: nn.Parameter, values: Tensor, live: int
    ) -> None:
        """Divide a tensor's values, (numel,) in storage order, among A, B and the rest."""
        computing = largest(values.abs(), live, state.rng)
        taken = torch.zeros_like(values, dtype=torch.bool).index_fill_(0, computing, True)
        more = min(round((self.backward - 1) * live), len(values) - live)
        explored = torch.zeros_like(taken)
        explored[largest_free(values.abs(), taken, more, state.rng)] = True
        state.set_live_(name, computing)
        flat(state.masks.parameters[name])[computing] = values[computing]
        flat(hidden).copy_(values.where(explored, 0.0))
        state.memory[f"top_kast_explored/{name}"] = explored
        state.memory[f"top_kast_waiting/{name}"] = values.masked_fill(taken | explored, 0.0)
