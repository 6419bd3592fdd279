"""A compiled network that can be called. Needs numpy and numba, and no torch.

Every block of images is run by one thread in a workspace that no other thread touches meanwhile, so
a network may be called from several threads at once.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.deploy.runtime import interpreter
from dstbench.deploy.runtime.memory_plan import Layout, lay_out
from dstbench.deploy.runtime.program import Program
from dstbench.deploy.runtime.program_file import read
from dstbench.errors import UserError
from dstbench.utils.processes import cores

BLOCK = 2  # images that a thread takes at a time: their planes stay in its cache
MIN_WORK_PER_THREAD = 4_000_000  # terms × pixels that waking another thread is worth
BLOCK_BYTES = 2**23  # unless a workspace becomes larger than this


def load(path: str | Path, threads: int | None = None) -> "Network":
    """The network of a `network.dst` file.

    threads: the most that a call uses; None for one for each processor this process may use. A
    small batch is not worth waking others for.
    Raises UserError for a file that is damaged, foreign, or of a newer version.
    """
    return Network(read(Path(path)), threads)


class Network:
    """A callable network.

    image_shape: (channels, height, width). classes: their names, in the order of the logits.
    about: where it comes from: method, sparsity, accuracy and the rest of what its file says.
    """

    def __init__(self, program: Program, threads: int | None = None):
        if threads is not None and not (isinstance(threads, int) and threads >= 1):
            raise UserError(f"threads = {threads!r}: must be a whole number of at least 1.")
        self.image_shape = program.image_shape
        self.about: dict[str, Any] = program.about
        numbers = [str(number) for number in range(program.classes)]
        self.classes: list[str] = program.about.get("classes") or numbers
        self.threads = threads or cores()
        self._program = program
        self._coefficients = program.coefficients()
        areas = program.settings[program.setting, :2].astype(np.int64).prod(1)
        self._work = int(areas @ program.terms)  # of one image
        self._table = _table(program)
        self._blocks: dict[int, _Block] = {}
        self._largest = self._largest_block()
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits, float32 (n, classes), of any number of images.

        images: uint8 (n, height, width, channels), normalised as in training; or float32
        (n, channels, height, width), already normalised. Raises UserError for anything else.
        """
        images = self._checked(np.asarray(images))
        logits = np.empty((len(images), self._program.classes), np.float32)
        if not len(images):
            return logits
        threads = min(self.threads, max(1, len(images) * self._work // MIN_WORK_PER_THREAD))
        size = min(self._largest, -(-len(images) // threads))
        block = self._block(size)
        starts = range(0, len(images), size)
        if self._pool is None or threads == 1 or len(starts) == 1:
            for start in starts:
                block.infer(images[start : start + size], logits[start : start + size])
            return logits
        turn = itertools.count()  # whoever is free takes the next block

        def work() -> None:
            while (number := next(turn)) < len(starts):
                chosen = slice(starts[number], starts[number] + size)
                block.infer(images[chosen], logits[chosen])

        helpers = min(threads, len(starts)) - 1
        pending = [self._pool.submit(work) for _ in range(helpers)]
        work()
        for helper in pending:
            helper.result()
        return logits

    def accuracy(self, images: np.ndarray, labels: np.ndarray, batch: int = 256) -> float:
        """Percent of the images whose largest logit is that of their label; NaN for none.

        images: as for a call. labels: (n,), the number of each image's class.
        """
        labels = np.asarray(labels)
        if labels.shape != (len(images),):
            raise UserError(f"labels of shape {list(labels.shape)}: expected [{len(images)}].")
        right = sum(
            int((self(images[i : i + batch]).argmax(1) == labels[i : i + batch]).sum())
            for i in range(0, len(images), batch)
        )
        return 100 * right / len(images) if len(images) else float("nan")

    def _checked(self, images: np.ndarray) -> np.ndarray:
        channels, height, width = self.image_shape
        if images.dtype == np.uint8 and images.shape[1:] == (height, width, channels):
            if self._table is None:
                raise UserError(
                    "This network was compiled without a mean and standard deviation: give it "
                    "normalised float32 images."
                )
        elif images.dtype != np.float32 or images.shape[1:] != (channels, height, width):
            raise UserError(
                f"{images.dtype} images of shape {list(images.shape)}: expected uint8 "
                f"[n, {height}, {width}, {channels}], or normalised float32 "
                f"[n, {channels}, {height}, {width}]."
            )
        # One kind of array, so that one compiled function does.
        return np.require(images, requirements=("C", "W"))

    def _block(self, size: int) -> "_Block":
        if size not in self._blocks:
            self._blocks[size] = _Block(self, lay_out(self._program, size))
        return self._blocks[size]

    def _largest_block(self) -> int:
        size = BLOCK
        while size > 1 and 4 * lay_out(self._program, size).size > BLOCK_BYTES:
            size //= 2
        return size


class _Block:
    """A network laid out for so many images at a time, and workspaces that are not in use."""

    def __init__(self, network: Network, layout: Layout):
        program = network._program
        self.layout, self.constants = layout, program.constants
        self.workspaces: list[np.ndarray] = []
        table = network._table
        self.before = (np.zeros((0, 256), np.float32) if table is None else table,
                       layout.sources, layout.logits)  # fmt: skip
        self.after = (layout.shapes, layout.operations, layout.numbers, layout.offsets,
                      network._coefficients, program.clip)  # fmt: skip

    def infer(self, images: np.ndarray, logits: np.ndarray) -> None:
        try:
            workspace = self.workspaces.pop()
        except IndexError:
            workspace = self.layout.workspace(self.constants)
        infer = interpreter.infer_bytes if images.dtype == np.uint8 else interpreter.infer
        infer(workspace, images, *self.before, logits, *self.after)
        self.workspaces.append(workspace)


def _table(program: Program) -> np.ndarray | None:
    """(channels, 256): what a byte is after normalisation; None where that is not known."""
    mean, std = program.about.get("mean"), program.about.get("std")
    if mean is None or std is None:
        return None
    scaled = np.arange(256) / 255
    columns = [(scaled - m) / s for m, s in zip(mean, std, strict=True)]
    return np.array(columns, np.float32)
