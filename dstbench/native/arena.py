"""The memory of compiled passes, which one size of batch after another uses."""

import numpy as np

from dstbench.native.wiring import Array


class Arena:
    """Memory that is used again by the next program, if it is large enough."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._arrays: dict[str, Array] = {}

    def get(self, name: str, size: int, dtype: np.dtype | None = None) -> Array:
        """Return an array of at least `size` numbers that starts at a cache line."""
        found = self._arrays.get(name)
        if found is None or len(found) < size:
            self._arrays.pop(name, None)
            dtype = dtype or self.dtype
            memory = np.zeros(int(size * 1.1) + 64, dtype)
            skip = (-memory.ctypes.data // memory.itemsize) % (64 // memory.itemsize)
            found = self._arrays[name] = memory[skip:]
        return found

    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._arrays.values())
