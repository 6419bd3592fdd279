"""The structure of a network: what decides how its forward pass computes, other than values."""

from typing import Any

from torch import nn

_PLAIN = (bool, int, float, str, tuple, type(None))
_CHANGES = "training"  # an attribute that each phase of training sets


class Structure:
    """A network's modules, their settings and parameters, as they are now; compares equal.

    Two structures of a network are equal if it has the same modules, parameters and buffers (the
    same objects), with the same plain settings, number of hooks, and `requires_grad`. Whether
    modules are in training mode, and values of tensors, do not count.
    """

    def __init__(self, model: nn.Module):
        # References: the id of an object that exists is not given to another one.
        self._objects: list[Any] = []
        self._settings: list[Any] = []
        for module in model.modules():
            self._objects.append(module)
            for name, value in vars(module).items():
                if isinstance(value, _PLAIN):
                    if name != _CHANGES:
                        self._settings.append(value)
                elif name == "_parameters":
                    self._objects += value.values()
                    self._settings += [p is not None and p.requires_grad for p in value.values()]
                elif name == "_buffers":
                    self._objects += value.values()
                elif isinstance(value, dict):
                    self._settings.append(len(value))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Structure)
            and list(map(id, self._objects)) == list(map(id, other._objects))
            and self._settings == other._settings
        )

    __hash__ = None  # type: ignore[assignment]
