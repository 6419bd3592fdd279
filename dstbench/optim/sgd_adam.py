"""SGD and Adam on live weights only.

The live weights of all masked tensors are gathered into one vector, stepped together, and written
back. So time and memory of a step grow with the live weights, not with the dense network, and dead
weights stay exactly zero because they are never written. Dense gradients are not changed.

The update rules are those of torch.optim.SGD and torch.optim.Adam (L2 added to the gradient).
"""

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat, live_gradient
from dstbench.core.optimizer_interface import SparseOptimizer
from dstbench.optim.decay_groups import decay_groups


class LiveOptimizer(SparseOptimizer):
    """Steps the live weights of masked tensors as one vector, other parameters with torch.

    slots: names of the state vectors, one value per live weight, such as "momentum" → torch's name.
    rest: torch.optim class for the parameters without a mask.
    settings: its keyword arguments.
    free: parameters without a mask that weight decay leaves alone.
    """

    slots: ClassVar[Mapping[str, str]] = {}
    needs_dense_gradients = False

    def __init__(
        self,
        model: nn.Module,
        masks: Masks,
        rest: type,
        settings: dict[str, Any],
        free: Sequence[nn.Parameter] = (),
    ):
        self.masks = masks
        self.names = [name for name in masks if masks.parameters[name].requires_grad]
        self.params = [masks.parameters[name] for name in self.names]
        masked = {id(masks.parameters[name]) for name in masks}
        others = [p for p in model.parameters() if id(p) not in masked and p.requires_grad]
        groups = decay_groups(others, free)
        self.rest = rest(groups, lr=0.0, fused=True, **settings) if groups else None
        self._flats: list[Tensor] = []
        self._addresses: list[int] = []
        self.vectors: dict[str, Tensor] = {}  # slot, "value" and "grad" → one long vector
        self._layout()

    def _layout(self, old: dict[str, dict[str, Tensor]] | None = None) -> None:
        """Allocate the vectors for the current masks.

        old: slot → tensor name → state of its live weights; None for zero state.
        """
        counts = [self.masks.live(name) for name in self.names]
        for vector in ("value", "grad", *self.slots):
            reference = self.params[0] if self.params else torch.empty(0)
            self.vectors[vector] = reference.new_zeros(sum(counts))
        self.segments = {k: list(v.split(counts)) for k, v in self.vectors.items()}
        for slot in self.slots:
            for segment, name in zip(self.segments[slot], self.names, strict=True):
                if old is not None:
                    segment.copy_(old[slot][name])

    def _per_tensor(self) -> dict[str, dict[str, Tensor]]:
        """Return slot → tensor name → state of its live weights, in storage order."""
        return {
            slot: dict(zip(self.names, self.segments[slot], strict=True)) for slot in self.slots
        }

    @torch.no_grad()
    def mask_moved(self, name: str, before: Tensor) -> None:
        state = self._per_tensor()
        if name not in self.names:  # it had no mask yet
            taken = self._take_from_rest(name)
            if taken is None:
                return
            for slot, vector in taken.items():
                state[slot][name] = vector
        now = self.masks.index(name)
        survived = torch.isin(now, before, assume_unique=True)
        place = torch.searchsorted(before, now)
        for slot in self.slots:
            moved = now.new_zeros(len(now), dtype=state[slot][name].dtype)
            moved[survived] = state[slot][name][place[survived]]
            state[slot][name] = moved
        self._layout(state)

    def _take_from_rest(self, name: str) -> dict[str, Tensor] | None:
        """Step a tensor here from now on, not with the parameters without a mask.

        Returns slot → its state, (numel,) in storage order; None for a frozen tensor.
        """
        parameter = self.masks.parameters[name]
        if not parameter.requires_grad or self.rest is None:
            return None
        groups = self.rest.param_groups
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not parameter]
        groups[:] = [group for group in groups if group["params"]]
        kept = self.rest.state.pop(parameter, {})
        if not groups:
            self.rest = None
        self.names = [n for n in self.masks if n in {*self.names, name}]
        self.params = [self.masks.parameters[n] for n in self.names]
        self.taken(kept)
        like = torch.zeros_like(parameter, requires_grad=False)
        return {
            slot: flat(like.clone() if kept.get(key) is None else like.clone().copy_(kept[key]))
            for slot, key in self.slots.items()
        }

    def taken(self, kept: Mapping[str, Any]) -> None:
        """Follow torch's state of a tensor that is stepped here from now on."""

    @torch.no_grad()
    def reset_state(self) -> None:
        for slot in self.slots:
            self.vectors[slot].zero_()
        if self.rest is not None:
            for kept in self.rest.state.values():
                for value in kept.values():  # momenta, and Adam's step counts
                    if isinstance(value, Tensor):
                        value.zero_()

    def zero_grad(self) -> None:
        for parameter in self.params:
            parameter.grad = None
        if self.rest is not None:
            self.rest.zero_grad(set_to_none=True)
        self.masks.live_gradients.clear()

    @torch.no_grad()
    def step(self, lr: float) -> None:
        if self.rest is not None:
            for group in self.rest.param_groups:
                group["lr"] = lr
            self.rest.step()
        if not self.params:
            return
        flats = self._flat_parameters()
        indices = [self.masks.index(name) for name in self.names]
        for stored, index, segment in zip(flats, indices, self.segments["value"], strict=True):
            torch.index_select(stored, 0, index, out=segment)
        idle = self._gather_gradients()
        self.advance(lr)
        for i, kept in idle.items():
            for slot, vector in zip(self.slots, kept, strict=True):
                self.segments[slot][i].copy_(vector)
        for i, index in enumerate(indices):
            if i not in idle:
                flats[i].index_copy_(0, index, self.segments["value"][i])

    def _gather_gradients(self) -> dict[int, list[Tensor]]:
        """Write the gradients into "grad".

        Returns number → slots of the tensors without one: as in torch's optimizers, they are not
        stepped.
        """
        gradients = [live_gradient(self.masks, name) for name in self.names]
        known = [g for g in gradients if g is not None]
        if len(known) == len(gradients):
            torch.cat(known, out=self.vectors["grad"])
            return {}
        idle = {}
        for i, gradient in enumerate(gradients):
            if gradient is None:
                idle[i] = [self.segments[slot][i].clone() for slot in self.slots]
            else:
                self.segments["grad"][i].copy_(gradient)
        return idle

    def _flat_parameters(self) -> list[Tensor]:
        """Return the flat views of the masked tensors; made anew only for tensors that moved."""
        addresses = [parameter.data_ptr() for parameter in self.params]
        if addresses != self._addresses:
            self._flats, self._addresses = [flat(p) for p in self.params], addresses
        return self._flats

    @abstractmethod
    def advance(self, lr: float) -> None:
        """Step the vectors: update "value" and the slots in place; "grad" may be overwritten."""

    def state_dict(self) -> dict[str, Any]:
        slots = {
            slot: {name: vector.cpu().clone() for name, vector in state.items()}
            for slot, state in self._per_tensor().items()
        }
        rest = copy.deepcopy(self.rest.state_dict()) if self.rest else {}
        return {"slots": slots, "rest": rest}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._layout(saved["slots"])
        if self.rest is not None:
            self.rest.load_state_dict(copy.deepcopy(saved["rest"]))


class LiveSGD(LiveOptimizer):
    """SGD with momentum on live weights."""

    slots: ClassVar[Mapping[str, str]] = {"momentum": "momentum_buffer"}

    def __init__(
        self,
        model: nn.Module,
        masks: Masks,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
        free: Sequence[nn.Parameter] = (),
    ):
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        settings = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(model, masks, torch.optim.SGD, settings, free)
        if momentum and self.rest is not None:
            # torch's fused step cannot mix parameters with and without one, which a parameter has
            # whose first gradient comes late.
            for group in self.rest.param_groups:
                for parameter in group["params"]:
                    self.rest.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def advance(self, lr: float) -> None:
        value, grad, momentum = (self.vectors[k] for k in ("value", "grad", "momentum"))
        grad.add_(value, alpha=self.weight_decay)
        momentum.mul_(self.momentum).add_(grad)
        step = grad.add_(momentum, alpha=self.momentum) if self.nesterov else momentum
        value.add_(step, alpha=-lr)


class LiveAdam(LiveOptimizer):
    """Adam on live weights.

    Assumed: one step counter for all weights. A weight that grows late starts with zero moments and
    a bias correction near one, so its first step is about (1−β₁)/√(1−β₂) ≈ 3 times the rate.
    """

    slots: ClassVar[Mapping[str, str]] = {"mean": "exp_avg", "square": "exp_avg_sq"}

    def __init__(
        self,
        model: nn.Module,
        masks: Masks,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        free: Sequence[nn.Parameter] = (),
    ):
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps = 0
        settings = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(model, masks, torch.optim.Adam, settings, free)

    def advance(self, lr: float) -> None:
        self.steps += 1
        value, grad, mean, square = (self.vectors[k] for k in ("value", "grad", *self.slots))
        beta1, beta2 = self.betas
        grad.add_(value, alpha=self.weight_decay)
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        size = (square / (1 - beta2**self.steps)).sqrt_().add_(self.eps)
        value.addcdiv_(mean, size, value=-lr / (1 - beta1**self.steps))

    def reset_state(self) -> None:
        super().reset_state()
        self.steps = 0

    def taken(self, kept: Mapping[str, Any]) -> None:
        self.steps = max(self.steps, int(kept.get("step", 0)))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"steps": self.steps}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.steps = saved["steps"]
        super().load_state_dict(saved)
