"""Where a kernel looks: the arithmetic of windows that slide over a plane, in numpy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A kernel that slides over planes of one size and makes planes of another.

    All pairs are rows and columns. before: rows and columns outside, above and to the left.
    given, made: size of a plane and of the result.
    """

    kernel: Pair
    stride: Pair
    before: Pair
    dilation: Pair
    given: Pair
    made: Pair

    @cached_property
    def keeps(self) -> bool:
        """Whether a place of the kernel sees a plane shifted, of the same size and no less."""
        return self.stride == (1, 1) and self.given == self.made

    @cached_property
    def whole(self) -> bool:
        """Whether the window is the plane."""
        return self.kernel == self.given and self.made == (1, 1) and self.before == (0, 0)

    def origin(self, row: int, column: int) -> Pair:
        """Where the kernel's place (row, column) looks for the first pixel of the result."""
        return (
            row * self.dilation[0] - self.before[0],
            column * self.dilation[1] - self.before[1],
        )

    def _looks(self, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
        origin = self.origin(row, column)
        rows, columns = (
            origin[axis] + self.stride[axis] * np.arange(self.made[axis]) for axis in (0, 1)
        )
        return rows, columns

    def sees(self, row: int, column: int) -> np.ndarray:
        """Pixels of the result for which that place lies inside the plane: bool, of size made."""
        rows, columns = self._looks(row, column)
        inside = (rows >= 0) & (rows < self.given[0])
        return inside[:, None] & ((columns >= 0) & (columns < self.given[1]))

    def at(self, plane: np.ndarray, row: int, column: int, outside: float = 0.0) -> np.ndarray:
        """What that place sees of a plane, for every pixel of the result."""
        rows, columns = self._looks(row, column)
        clipped = (rows.clip(0, self.given[0] - 1), columns.clip(0, self.given[1] - 1))
        return np.where(self.sees(row, column), plane[np.ix_(*clipped)], outside)

    def places(self) -> list[Pair]:
        return [(r, c) for r in range(self.kernel[0]) for c in range(self.kernel[1])]

    def mark(self, into: np.ndarray, pixels: np.ndarray, row: int, column: int) -> None:
        """Set in bool planes (channels, *given) what that place sees for the pixels that are set,
        bool (channels, *made)."""
        rows, columns = self._looks(row, column)
        rows = np.broadcast_to(rows[:, None], self.made)
        columns = np.broadcast_to(columns[None, :], self.made)
        for plane, chosen in zip(into, pixels & self.sees(row, column), strict=True):
            plane[rows[chosen], columns[chosen]] = True

    def maximum(self, plane: np.ndarray) -> np.ndarray:
        """The largest number in every window; what lies outside takes no part."""
        return np.max([self.at(plane, *p, outside=-np.inf) for p in self.places()], axis=0)
