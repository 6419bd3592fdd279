"""Files of networks are refused in one line, or run and touch no memory but their own."""

from unittest.mock import patch

import numpy as np

from dstbench.deployment.runtime import numba_interpreter, numpy_interpreter, workspace
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_check import InvalidProgram
from dstbench.deployment.runtime.program_file import read
from dstbench.errors import UserError

INTERPRETERS = {
    "numba": numba_interpreter.INTERPRETER,
    "numpy": numpy_interpreter.INTERPRETER,
}
MARGIN = 1 << 16  # floats watched on either side of a workspace
MOST_PIXELS = 1 << 22  # of an image
MOST_WORK = 40_000_000  # of an image; larger networks are loaded, not run


class Guarded:
    """numpy, whose `zeros` are in the middle of an array that is watched."""

    def __init__(self, fill):
        self.fill, self.made = fill, []

    def __getattr__(self, name):
        return getattr(np, name)

    def zeros(self, count, dtype):
        whole = np.full(count + 2 * MARGIN, self.fill, dtype)
        whole[MARGIN : MARGIN + count] = 0
        self.made.append((whole, count))
        return whole[MARGIN : MARGIN + count]

    def untouched(self):
        parts = [(w[:MARGIN], w[MARGIN + count :]) for w, count in self.made]
        return all((part == self.fill).all() for pair in parts for part in pair)


def accepted(path, interpreters=("numba",)) -> bool:
    """Load a file, and run it with interpreters if it is accepted; return whether it was.

    Fails when it is refused in another way than in one line, when memory outside its workspace is
    read or written, and when interpreters do not agree.
    """
    try:
        network = loaded(path, interpreters[0])
    except UserError as error:
        assert str(path) in error.message and error.message.isprintable()
        assert len(error.message) < len(str(path)) + 300
        return False
    if np.prod(network.image_shape) > MOST_PIXELS or network._one.plan.work > MOST_WORK:
        return True
    images = np.random.default_rng(0).normal(size=(3, *network.image_shape)).astype(np.float32)
    results = []
    for name in interpreters:
        found = []
        for fill in (1e6, -7.5):
            guarded = Guarded(fill)
            with patch.object(workspace, "np", guarded):
                found.append(loaded(path, name)(images))
            assert guarded.made and guarded.untouched()
        assert np.array_equal(*found, equal_nan=True)  # nothing outside was read
        results.append(found[0])
    for result in results[1:]:
        assert_close(result, results[0])
    return True


def loaded(path, interpreter: str) -> Network:
    """Return the network of a file, as `load` does, with an interpreter by its name."""
    try:
        return Network(read(path), 1, INTERPRETERS[interpreter])
    except InvalidProgram as error:
        raise UserError(f"{path}: {error}") from None


def assert_close(logits, expected) -> None:
    """Assert equal logits up to rounding, (n, classes) each, and NaN and infinity in the same."""
    assert (np.isnan(logits) == np.isnan(expected)).all()
    usual = np.isfinite(expected) & np.isfinite(logits)
    assert (logits[~usual & ~np.isnan(logits)] == expected[~usual & ~np.isnan(logits)]).all()
    scale = max(np.abs(expected[usual]).max(initial=0), 1e-3)
    assert np.abs(logits[usual] - expected[usual]).max(initial=0) <= 1e-5 * scale
