"""Optimizer settings, as gin configures them; `build` makes the optimizer of a masked network."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.core.masks import Masks
from dstbench.core.optimizer_interface import SparseOptimizer
from dstbench.errors import UserError, require
from dstbench.optim.sgd_adam import LiveAdam, LiveSGD
from dstbench.optim.torch_wrapper import MaskedOptimizer


class OptimizerSettings(ABC):
    """Base class of optimizer settings.

    lr: peak learning rate, multiplied by the run's schedule.
    """

    lr: float

    @abstractmethod
    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        """Return the optimizer of the model's parameters; the masks must be initialised."""


@register("optimizers")
class SGD(OptimizerSettings):
    """Stochastic gradient descent with momentum.

    lr: peak learning rate.
    momentum: in [0, 1).
    weight_decay: L2 coefficient, added to the gradient of every parameter, normalisation included.
    nesterov: whether to use Nesterov momentum.
    """

    def __init__(
        self,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = True,
    ):
        require(lr > 0, self, "lr", lr, "positive")
        require(0 <= momentum < 1, self, "momentum", momentum, "in [0, 1)")
        require(weight_decay >= 0, self, "weight_decay", weight_decay, "zero or more")
        require(not nesterov or momentum > 0, self, "nesterov", nesterov, "False without momentum")
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        return LiveSGD(model, masks, self.momentum, self.weight_decay, self.nesterov)


@register("optimizers")
class Adam(OptimizerSettings):
    """Adam with L2 regularisation (not decoupled).

    lr: peak learning rate.
    betas: decay rates of the two moments, in [0, 1).
    eps: added to the denominator.
    weight_decay: L2 coefficient, added to the gradient of every parameter.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        require(lr > 0, self, "lr", lr, "positive")
        valid = len(betas) == 2 and all(0 <= b < 1 for b in betas)
        require(valid, self, "betas", betas, "two numbers in [0, 1)")
        require(weight_decay >= 0, self, "weight_decay", weight_decay, "zero or more")
        require(eps > 0, self, "eps", eps, "positive")
        self.lr, self.betas = lr, (betas[0], betas[1])
        self.eps, self.weight_decay = eps, weight_decay

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        return LiveAdam(model, masks, self.betas, self.eps, self.weight_decay)


@register("optimizers")
class TorchOptimizer(OptimizerSettings):
    """Any optimizer of torch.optim by its class name, such as 'AdamW' or 'RMSprop'.

    name: class name in torch.optim.
    lr: peak learning rate.
    options: its other keyword arguments.
    """

    def __init__(self, name: str, lr: float, options: dict[str, Any] | None = None):
        classes = {n for n in vars(torch.optim) if isinstance(getattr(torch.optim, n), type)}
        # an abstract class, one that needs a closure, one for sparse gradients
        classes -= {"Optimizer", "LBFGS", "SparseAdam"}
        require(name in classes, self, "name", name, f"one of {', '.join(sorted(classes))}")
        require(lr > 0, self, "lr", lr, "positive")
        self.name, self.lr, self.options = name, lr, options or {}

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        trainable: Iterable[Tensor] = [p for p in model.parameters() if p.requires_grad]
        try:
            inner = getattr(torch.optim, self.name)(trainable, lr=self.lr, **self.options)
        except Exception as error:
            raise UserError(
                f"torch.optim.{self.name} refuses its options {self.options}: {error}",
                "TorchOptimizer.options",
            ) from None
        return MaskedOptimizer(inner, masks)
