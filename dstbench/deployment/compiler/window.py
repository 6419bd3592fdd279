"""Sliding windows over planes: which pixels each kernel position reads, in numpy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dstbench.graph.steps import Pair


@dataclass(frozen=True)
class Window:
    """A kernel that slides over planes. All fields are pairs (rows, columns).

    kernel: size of the kernel.
    stride: pixels from one position of the window to the next.
    padding: rows of padding above, columns of padding to the left.
    dilation: pixels between neighbouring kernel positions.
    input: size of the planes that are read.
    output: size of the planes that are computed.
    """

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    input: Pair
    output: Pair

    @cached_property
    def only_shifts(self) -> bool:
        """Whether every kernel position reads a plane shifted and of the same size."""
        return self.stride == (1, 1) and self.input == self.output

    @cached_property
    def covers_plane(self) -> bool:
        """Whether the one window is the whole plane."""
        return self.kernel == self.input and self.output == (1, 1) and self.padding == (0, 0)

    @cached_property
    def positions(self) -> list[Pair]:
        """All kernel positions (row, column)."""
        return [(r, c) for r in range(self.kernel[0]) for c in range(self.kernel[1])]

    def origin(self, row: int, column: int) -> Pair:
        """Return the input pixel that a kernel position reads for the first output pixel."""
        return (
            row * self.dilation[0] - self.padding[0],
            column * self.dilation[1] - self.padding[1],
        )

    def inside(self, row: int, column: int) -> np.ndarray:
        """Return for which output pixels a kernel position reads inside the plane: bool, output."""
        rows, columns = self._read_pixels(row, column)
        inside = (rows >= 0) & (rows < self.input[0])
        return inside[:, None] & ((columns >= 0) & (columns < self.input[1]))

    def read(self, plane: np.ndarray, row: int, column: int, outside: float = 0.0) -> np.ndarray:
        """Return what a kernel position reads of a plane for every output pixel.

        outside: the number read outside the plane.
        """
        rows, columns = self._read_pixels(row, column)
        clipped = (rows.clip(0, self.input[0] - 1), columns.clip(0, self.input[1] - 1))
        return np.where(self.inside(row, column), plane[np.ix_(*clipped)], outside)

    def mark_read(self, into: np.ndarray, pixels: np.ndarray, row: int, column: int) -> None:
        """Set the input pixels that a kernel position reads for chosen output pixels, in place.

        into: bool (channels, *input).
        pixels: the chosen output pixels, bool (channels, *output).
        """
        rows, columns = self._read_pixels(row, column)
        rows = np.broadcast_to(rows[:, None], self.output)
        columns = np.broadcast_to(columns[None, :], self.output)
        for plane, chosen in zip(into, pixels & self.inside(row, column), strict=True):
            plane[rows[chosen], columns[chosen]] = True

    def maximum(self, plane: np.ndarray) -> np.ndarray:
        """Return the largest number of every window, pixels outside the plane ignored."""
        return np.max([self.read(plane, *p, outside=-np.inf) for p in self.positions], axis=0)

    def _read_pixels(self, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
        origin = self.origin(row, column)
        rows, columns = (
            origin[axis] + self.stride[axis] * np.arange(self.output[axis]) for axis in (0, 1)
        )
        return rows, columns
