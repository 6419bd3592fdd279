"""Numpy arrays that share memory with tensors, so that reading them costs no call of torch."""

from collections.abc import Callable

import numpy as np
from torch import Tensor


class StorageViews:
    """Arrays of tensors' memory; made anew for all when a tensor has moved.

    tensors: on the CPU.
    view: returns the view of a tensor that an array is of.
    """

    def __init__(self, tensors: list[Tensor], view: Callable[[Tensor], Tensor] = Tensor.detach):
        self._tensors, self._view = tensors, view
        self._addresses: list[int] = []
        self._arrays: list[np.ndarray] = []

    def current(self) -> list[np.ndarray]:
        """Return one array a tensor, with the values that it has now."""
        addresses = [tensor.data_ptr() for tensor in self._tensors]
        if addresses != self._addresses:
            self._addresses = addresses
            self._arrays = [self._view(tensor).numpy() for tensor in self._tensors]
        return self._arrays
