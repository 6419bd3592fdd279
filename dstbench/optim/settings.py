"""Optimizer settings, as gin configures them; `build` makes the optimizer of a masked network."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import nn

from dstbench.config.registry import register
from dstbench.core.masks import Masks
from dstbench.core.optimizer_interface import SparseOptimizer
from dstbench.errors import UserError, require
from dstbench.optim.decay_groups import Decayed, decay_groups, free_of_decay
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
    weight_decay: L2 coefficient, added to the gradient of the parameters that `decayed` names.
    nesterov: whether to use Nesterov momentum.
    decayed: 'all' parameters, normalisation and biases included, or 'prunable' weights alone.
    """

    omitted_at_default: ClassVar[tuple[str, ...]] = ("decayed",)

    def __init__(
        self,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = True,
        decayed: Decayed = "all",
    ):
        require(lr > 0, self, "lr", lr, "positive")
        require(0 <= momentum < 1, self, "momentum", momentum, "in [0, 1)")
        require(weight_decay >= 0, self, "weight_decay", weight_decay, "zero or more")
        require(not nesterov or momentum > 0, self, "nesterov", nesterov, "False without momentum")
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov, self.decayed = weight_decay, nesterov, decayed

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        free = free_of_decay(model, self.decayed)
        return LiveSGD(model, masks, self.momentum, self.weight_decay, self.nesterov, free)


@register("optimizers")
class Adam(OptimizerSettings):
    """Adam with L2 regularisation (not decoupled).

    lr: peak learning rate.
    betas: decay rates of the two moments, in [0, 1).
    eps: added to the denominator.
    weight_decay: L2 coefficient, added to the gradient of the parameters that `decayed` names.
    decayed: 'all' parameters, normalisation and biases included, or 'prunable' weights alone.
    """

    omitted_at_default: ClassVar[tuple[str, ...]] = ("decayed",)

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decayed: Decayed = "all",
    ):
        require(lr > 0, self, "lr", lr, "positive")
        valid = len(betas) == 2 and all(0 <= b < 1 for b in betas)
        require(valid, self, "betas", betas, "two numbers in [0, 1)")
        require(weight_decay >= 0, self, "weight_decay", weight_decay, "zero or more")
        require(eps > 0, self, "eps", eps, "positive")
        self.lr, self.betas = lr, (betas[0], betas[1])
        self.eps, self.weight_decay, self.decayed = eps, weight_decay, decayed

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        free = free_of_decay(model, self.decayed)
        return LiveAdam(model, masks, self.betas, self.eps, self.weight_decay, free)


@register("optimizers")
class TorchOptimizer(OptimizerSettings):
    """Any optimizer of torch.optim by its class name, such as 'AdamW' or 'RMSprop'.

    name: class name in torch.optim.
    lr: peak learning rate.
    options: its other keyword arguments.
    decayed: parameters that its weight_decay is for: 'all', normalisation and biases included, or
        'prunable' weights alone.
    """

    omitted_at_default: ClassVar[tuple[str, ...]] = ("decayed",)

    def __init__(
        self,
        name: str,
        lr: float,
        options: dict[str, Any] | None = None,
        decayed: Decayed = "all",
    ):
        classes = {n for n in vars(torch.optim) if isinstance(getattr(torch.optim, n), type)}
        # an abstract class, one that needs a closure, one for sparse gradients
        classes -= {"Optimizer", "LBFGS", "SparseAdam"}
        require(name in classes, self, "name", name, f"one of {', '.join(sorted(classes))}")
        require(lr > 0, self, "lr", lr, "positive")
        self.name, self.lr, self.options, self.decayed = name, lr, options or {}, decayed

    def build(self, model: nn.Module, masks: Masks) -> SparseOptimizer:
        trainable = [p for p in model.parameters() if p.requires_grad]
        groups = decay_groups(trainable, free_of_decay(model, self.decayed))
        try:
            inner = getattr(torch.optim, self.name)(groups, lr=self.lr, **self.options)
        except Exception as error:
            raise UserError(
                f"torch.optim.{self.name} refuses its options {self.options}: {error}",
                "TorchOptimizer.options",
            ) from None
        return MaskedOptimizer(inner, masks)
