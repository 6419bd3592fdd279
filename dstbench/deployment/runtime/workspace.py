"""The memory plan of a program, and workspaces laid out by it.

The planes of a block of images are stored in strips: image after image, row after row. Planes that
are added to each other have rows of one length. Where one of them is read shifted, every row is
followed and every image surrounded by zeros that neighbours share, so that a shifted plane is one
contiguous slice of a strip.
"""

from dataclasses import dataclass

import numpy as np

from ...compiled.lanes import LANES

# Columns of `MemoryPlan.shapes`: kind of the operation; height and width of its result, floats
# from row to row and from image to image, its length, whether zeros must surround it, and its mask;
# floats before it that must be zeros; whether any term of the program has a clip (one answer for
# all operations: a branch that changes from one to the next costs more than clips that nothing
# needs); the same sizes and strides of the plane that it reads; the settings of its kind.
KIND, HEIGHT, WIDTH, ROW, IMAGE, LENGTH, PADDED, MASK, GUARD, CLIPPED = range(10)
IN_HEIGHT, IN_WIDTH, IN_ROW, IN_IMAGE = range(10, 14)
SETTINGS, COLUMNS = 14, 20

_ALL_BITS = np.uint32(0xFFFFFFFF).view(np.float32)


@dataclass(frozen=True)
class Mask:
    """A strip with all bits set in the pixels of a plane, and none between them.

    start: its first index.
    height, width: of the plane.
    row, image: floats from row to row and from image to image.
    """

    start: int
    height: int
    width: int
    row: int
    image: int


@dataclass(frozen=True)
class MemoryPlan:
    """Where a program's planes are stored, for blocks of up to `images` images.

    Indices and strides count floats of the workspace.

    images: largest number of images of a block.
    shapes: int64 (s, COLUMNS), what many operations have in common.
    operations: int32 (n, 3), row of `shapes`, first index of the result, number of terms.
    numbers: float32 (n, 2), bias, and lower bound of the result (0 for a ReLU).
    offsets: int32 (terms,), first index that each term reads.
    sources: int64 (p, 3), first index, row and image stride of the planes that no operation
        computes.
    logits: int64 (classes, 2), index and image stride.
    masks: masks of planes that zeros must surround.
    size: floats of the workspace.
    work: terms × pixels of one image, at most.
    """

    images: int
    shapes: np.ndarray
    operations: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    sources: np.ndarray
    logits: np.ndarray
    masks: list[Mask]
    size: int
    work: int

    def workspace(self, constants: list[np.ndarray]) -> np.ndarray:
        """Return new memory for one thread, float32 and aligned, with constants and masks set.

        constants: the program's constant planes.
        """
        memory = np.zeros(self.size + LANES, np.float32)
        skip = -(memory.ctypes.data // 4) % LANES
        work = memory[skip : skip + self.size]
        first = len(self.sources) - len(constants)
        for plane, (start, row, image) in zip(constants, self.sources[first:], strict=True):
            view(work, start, (self.images, *plane.shape), (image, row, 1))[...] = plane
        for mask in self.masks:
            shape = (self.images, mask.height, mask.width)
            view(work, mask.start, shape, (mask.image, mask.row, 1))[...] = _ALL_BITS
        return work


def view(
    work: np.ndarray, start: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> np.ndarray:
    """Return numbers of a workspace as an array that shares its memory.

    work: float32 (floats,), contiguous.
    start: index of the first number.
    shape, strides: of the array, in numbers.

    Raises ValueError when any of it is outside the workspace.
    """
    return np.ndarray(shape, np.float32, work.data, 4 * int(start), [4 * int(s) for s in strides])
