"""The interface of a built optimizer."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class Optimizer(ABC):
    """What the loop and the State need of a built optimizer."""

    @abstractmethod
    def step(self, lr: float) -> None:
        """Move every parameter; dead weights and their state are zero afterwards."""

    @abstractmethod
    def zero_grad(self) -> None: ...

    @abstractmethod
    def mask_moved(self, name: str, before: Tensor) -> None:
        """One tensor's live set changed from `before` (positions along its memory).

        What stays live keeps its state; what was not live before starts from zero.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, saved: dict[str, Any]) -> None: ...
