"""A compiled network as a function of images.

Each block of images is run by one thread, in a workspace that no other thread uses meanwhile, so a
network may be called from several threads at once.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dstbench.deployment.runtime import interpreter
from dstbench.deployment.runtime.memory_plan import plan_memory
from dstbench.deployment.runtime.program import About, Program
from dstbench.deployment.runtime.program_check import InvalidProgram
from dstbench.deployment.runtime.program_file import read
from dstbench.deployment.runtime.workspace import MemoryPlan
from dstbench.errors import UserError
from dstbench.utils.processes import cores

BLOCK_IMAGES = 2  # images that a thread runs at a time: their planes stay in its cache
MAX_WORKSPACE_BYTES = 2**22  # a block has fewer images where its workspace would be larger
MIN_WORK_PER_THREAD = (
    4_000_000  # terms × pixels below which another thread costs more than it saves
)


def load(path: str | Path, threads: int | None = None) -> "Network":
    """Return the network of a `network.dst` file.

    threads: most threads that a call uses; None for one for each processor of this process. A call
        with few images uses fewer.

    Raises UserError: when the file is damaged, of another format, or of a newer version, or when it
        is no network that can be run.
    """
    program = read(Path(path))
    try:
        return Network(program, threads)
    except InvalidProgram as error:
        raise UserError(f"{path}: is not a valid network: {error} Deploy the run again.") from None


class Network:
    """A compiled network that can be called.

    image_shape: channels, height, width.
    classes: names, in the order of the logits.
    about: description from its file: method, sparsity, accuracy and more.
    threads: most threads that a call uses.
    """

    def __init__(self, program: Program, threads: int | None = None):
        if threads is not None and not (isinstance(threads, int) and threads >= 1):
            raise UserError(f"threads = {threads!r}: must be a whole number of at least 1.")
        self.image_shape = program.image_shape
        self.about: About = program.about
        numbers = [str(number) for number in range(program.classes)]
        self.classes: list[str] = program.about.get("classes") or numbers
        self.threads = threads or cores()
        self._program = program
        self._coefficients = program.coefficients()
        areas = program.settings[program.setting, :2].astype(np.int64).prod(1)
        self._work_per_image = int(areas @ program.terms)  # terms × pixels
        self._table = _normalisation_table(program)
        self._blocks: dict[int, _Block] = {}
        self._block_images = self._largest_block()
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of any number of images, float32 (n, classes).

        images: uint8 (n, height, width, channels), normalised here as in training; or float32
            (n, channels, height, width), already normalised.

        Raises UserError: when the images have another dtype or shape.
        """
        images = self._checked(np.asarray(images))
        logits = np.empty((len(images), self._program.classes), np.float32)
        if not len(images):
            return logits
        threads = min(
            self.threads, max(1, len(images) * self._work_per_image // MIN_WORK_PER_THREAD)
        )
        size = min(self._block_images, -(-len(images) // threads))
        block = self._block(size)
        starts = range(0, len(images), size)
        if self._pool is None or threads == 1 or len(starts) == 1:
            for start in starts:
                block.infer(images[start : start + size], logits[start : start + size])
            return logits
        next_block = itertools.count()  # taken by any thread that is free

        def work() -> None:
            while (number := next(next_block)) < len(starts):
                chosen = slice(starts[number], starts[number] + size)
                block.infer(images[chosen], logits[chosen])

        helpers = min(threads, len(starts)) - 1
        pending = [self._pool.submit(work) for _ in range(helpers)]
        work()
        for helper in pending:
            helper.result()
        return logits

    def accuracy(self, images: np.ndarray, labels: np.ndarray, batch: int = 256) -> float:
        """Return the percentage of images whose largest logit is their label's; NaN for no images.

        images: (n, …), as for a call.
        labels: (n,), class numbers.
        batch: images of one call.

        Raises UserError: when the labels have another shape, or are no class numbers.
        """
        labels = np.asarray(labels)
        if labels.shape != (len(images),):
            raise UserError(f"labels of shape {list(labels.shape)}: expected [{len(images)}].")
        known = labels.dtype.kind in "iu" and ((labels >= 0) & (labels < len(self.classes))).all()
        if len(labels) and not known:
            raise UserError(f"labels: expected whole numbers from 0 to {len(self.classes) - 1}.")
        correct = sum(
            int((self(images[i : i + batch]).argmax(1) == labels[i : i + batch]).sum())
            for i in range(0, len(images), batch)
        )
        return 100 * correct / len(images) if len(images) else float("nan")

    def _checked(self, images: np.ndarray) -> np.ndarray:
        channels, height, width = self.image_shape
        if images.dtype == np.uint8 and images.shape[1:] == (height, width, channels):
            if self._table is None:
                raise UserError(
                    "This network was compiled without a mean and standard deviation, so it cannot "
                    "normalise uint8 images: give it normalised float32 images."
                )
        elif images.dtype != np.float32 or images.shape[1:] != (channels, height, width):
            raise UserError(
                f"{images.dtype} images of shape {list(images.shape)}: expected uint8 "
                f"[n, {height}, {width}, {channels}], or normalised float32 "
                f"[n, {channels}, {height}, {width}]."
            )
        # One memory layout, so that the interpreter is compiled once.
        return np.require(images, requirements=("C", "W"))

    def _block(self, size: int) -> "_Block":
        if size not in self._blocks:
            self._blocks[size] = _Block(self, plan_memory(self._program, size))
        return self._blocks[size]

    def _largest_block(self) -> int:
        size = BLOCK_IMAGES
        while size > 1 and 4 * plan_memory(self._program, size).size > MAX_WORKSPACE_BYTES:
            size //= 2
        return size


class _Block:
    """A network for blocks of up to so many images, and the workspaces that are not in use."""

    def __init__(self, network: Network, plan: MemoryPlan):
        program, table = network._program, network._table
        self._plan, self._constants = plan, program.constants
        self._workspaces: list[np.ndarray] = []
        self._table = np.zeros((0, 256), np.float32) if table is None else table
        self._operations = (
            plan.shapes,
            plan.operations,
            plan.numbers,
            plan.offsets,
            network._coefficients,
            program.clip,
            plan.clipped,
        )

    def infer(self, images: np.ndarray, logits: np.ndarray) -> None:
        """Write the logits of a block of images into `logits` (n, classes)."""
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = self._plan.workspace(self._constants)
        infer = interpreter.infer_bytes if images.dtype == np.uint8 else interpreter.infer
        sources, logit_table = self._plan.sources, self._plan.logits
        infer(workspace, images, self._table, sources, logit_table, logits, *self._operations)
        self._workspaces.append(workspace)


def _normalisation_table(program: Program) -> np.ndarray | None:
    """Return each byte normalised, (channels, 256); None where mean or std are not known."""
    mean, std = program.about.get("mean"), program.about.get("std")
    if mean is None or std is None:
        return None
    scaled = np.arange(256) / 255
    return np.array([(scaled - m) / s for m, s in zip(mean, std, strict=True)], np.float32)
