"""SparseOptimizer: the interface of every optimizer of a masked network; implemented in optim/."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class SparseOptimizer(ABC):
    """An optimizer that keeps dead weights, and its own state of them, at zero.

    needs_dense_gradients: whether `step` reads the dense `.grad` of masked tensors. If not, it also
        steps by `masks.live_gradients`.
    """

    needs_dense_gradients: bool = True

    @abstractmethod
    def step(self, lr: float) -> None:
        """Step every parameter that has a gradient, with this learning rate."""

    @abstractmethod
    def zero_grad(self) -> None:
        """Set every gradient to None, and forget the gradients of live weights."""

    @abstractmethod
    def mask_moved(self, name: str, before: Tensor) -> None:
        """Adapt the state to a moved mask: kept where a weight stays live, zero where it is new.

        name: the tensor whose mask moved.
        before: its live weights until then, sorted int64 flat indices in storage order.
        """

    @abstractmethod
    def reset_state(self) -> None:
        """Forget the state of every parameter: the next step is that of a new optimizer."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state."""

    @abstractmethod
    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; the masks must be loaded already."""
