"""A compiled network as a function of images.

Each block of images is run by one thread, in a workspace that no other thread uses meanwhile, so a
network may be called from several threads at once.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...utils.cores import cores
from .choose_interpreter import fastest
from .interpreter import Interpreter
from .memory_plan import MAX_FLOATS, plan_memory
from .program import About, Program
from .program_file import named, read, read_bytes
from .workspace import MemoryPlan

MIN_WORK_PER_THREAD = 10_000_000  # waking a thread takes as long as 4,000,000 or so


def load(path: str | Path, threads: int | None = None) -> "Network":
    """Return the network of a `network.dst` file.

    threads: most threads that a call uses; None for one for each processor of this process. A call
        with few images uses fewer.

    Raises UserError: when the file is damaged, of another format, or of a newer version, or when it
        is no network that can be run.
    """
    program = read(Path(path))
    with named(str(path)):
        return Network(program, threads)


def load_bytes(content: bytes, name: str) -> "Network":
    """Return the network in the bytes of a file. name: of the file, for messages.

    Raises UserError: as `load`.
    """
    program = read_bytes(content, name)
    with named(name):
        return Network(program)


class Network:
    """A compiled network that can be called.

    image_shape: channels, height, width.
    classes: names, in the order of the logits.
    about: description from its file: method, sparsity, accuracy and more.
    threads: most threads that a call uses.

    Raises InvalidProgram for a program that needs too much memory or time.
    """

    def __init__(
        self,
        program: Program,
        threads: int | None = None,
        interpreter: Interpreter | None = None,
    ):
        if threads is not None and not (isinstance(threads, int) and threads >= 1):
            raise UserError(f"threads = {threads!r}: must be a whole number of at least 1.")
        self.image_shape = program.image_shape
        self.about: About = program.about
        numbers = [str(number) for number in range(program.classes)]
        self.classes: list[str] = program.about.get("classes") or numbers
        self._program = program
        self._coefficients = program.coefficients()
        self._table = _normalisation_table(program)
        self._interpreter = interpreter or fastest()
        # Both are planned here, so that a call refuses nothing that loading has accepted.
        self._one = _Block(self, plan_memory(program, 1))
        images = self._largest_block(self._one.plan.size)
        several = images > 1
        self._several = _Block(self, plan_memory(program, images)) if several else self._one
        # All threads together have no more memory than a block may have.
        self.threads = min(threads or cores(), max(1, MAX_FLOATS // self._several.plan.size))
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
            self.threads, max(1, len(images) * self._one.plan.work // MIN_WORK_PER_THREAD)
        )
        size = min(self._several.plan.images, -(-len(images) // threads))
        block = self._one if size == 1 else self._several
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

    def _largest_block(self, floats: int) -> int:
        """Return the images of a block. floats: of the workspace of one image."""
        size = self._interpreter.block_images
        while size > 1 and 4 * size * floats > self._interpreter.workspace_bytes:
            size //= 2
        return size


class _Block:
    """A network for blocks of up to so many images, and the workspaces that are not in use."""

    def __init__(self, network: Network, plan: MemoryPlan):
        program, table = network._program, network._table
        self.plan, self._constants = plan, program.constants
        self._interpreter = network._interpreter
        self._workspaces: list[np.ndarray] = []
        self._table = np.zeros((0, 256), np.float32) if table is None else table
        self._operations = (
            plan.shapes,
            plan.operations,
            plan.numbers,
            plan.offsets,
            network._coefficients,
            program.clip,
        )

    def infer(self, images: np.ndarray, logits: np.ndarray) -> None:
        """Write the logits of a block of images into `logits` (n, classes)."""
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = self.plan.workspace(self._constants)
        run = self._interpreter
        infer = run.infer_bytes if images.dtype == np.uint8 else run.infer
        sources, logit_table = self.plan.sources, self.plan.logits
        infer(workspace, images, self._table, sources, logit_table, logits, *self._operations)
        self._workspaces.append(workspace)


def _normalisation_table(program: Program) -> np.ndarray | None:
    """Return each byte normalised, (channels, 256); None where mean or std are not known."""
    mean, std = program.about.get("mean"), program.about.get("std")
    if mean is None or std is None:
        return None
    scaled = np.arange(256) / 255
    return np.array([(scaled - m) / s for m, s in zip(mean, std, strict=True)], np.float32)
