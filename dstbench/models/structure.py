"""The structure of a network: what decides how its forward pass computes, other than values."""

from typing import Any

from torch import nn


class Structure:
    """A network's modules, their settings and tensors at one moment; fast to compare with now.

    modules: all modules of the network.

    Whether modules are in training mode, and values of tensors, are no part of it. A list or dict
    that a module has as an attribute is compared by identity: changed in place, it is not noticed.
    """

    def __init__(self, model: nn.Module):
        self.modules = list(model.modules())
        # References, not ids alone: the id of an object that exists is not given to another one.
        self._settings = [dict(vars(module)) for module in self.modules]
        self._children = [_children(module) for module in self.modules]
        self._ids = [list(map(id, children)) for children in self._children]
        self._parameters = [
            p for m in self.modules for p in m._parameters.values() if p is not None
        ]
        self._learning = [p.requires_grad for p in self._parameters]
        self._hooks = [_hooks(module) for module in self.modules]

    def is_current(self) -> bool:
        """Return whether the network still has this structure."""
        try:
            return all(map(_same_settings, self.modules, self._settings)) and (
                self._ids == [list(map(id, _children(module))) for module in self.modules]
                and self._learning == [p.requires_grad for p in self._parameters]
                and self._hooks == [_hooks(module) for module in self.modules]
            )
        except (RuntimeError, ValueError):  # an attribute that is another tensor or array now
            return False

    @property
    def is_training(self) -> bool:
        """Whether every module is in training mode now."""
        return all(module.training for module in self.modules)


def _same_settings(module: nn.Module, before: dict[str, Any]) -> bool:
    now = vars(module)
    return now == before or {**now, "training": before["training"]} == before


def _children(module: nn.Module) -> list[Any]:
    """Return the module's own modules, parameters and buffers."""
    own = vars(module)
    return [*own["_modules"].values(), *own["_parameters"].values(), *own["_buffers"].values()]


def _hooks(module: nn.Module) -> int:
    own = vars(module)
    return len(own["_forward_hooks"]) + len(own["_forward_pre_hooks"])
