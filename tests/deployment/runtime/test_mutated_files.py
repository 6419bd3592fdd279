"""No file, whatever its numbers, makes a network touch memory that is not its own."""

import numpy as np
import pytest
from helpers.deploy_networks import IMAGE, random_net
from helpers.mutated_networks import joined, mutated, split

from dstbench.deployment import load
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime import workspace
from dstbench.deployment.runtime.program_file import write_bytes
from dstbench.errors import UserError

ABOUT = {"classes": ["a", "b", "c"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
MARGIN = 1 << 16  # floats watched on either side of a workspace
MOST_PIXELS = 1 << 22  # of an image; larger networks are loaded, not run


@pytest.fixture(scope="module")
def contents():
    nets = [random_net(seed) for seed in range(6)]
    return [write_bytes(compile_network(net, IMAGE, ABOUT)) for net in nets]


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


def check(path, monkeypatch) -> bool:
    """Load a file and run it, if it is accepted; return whether it was."""
    try:
        network = load(path, threads=1)
    except UserError as error:
        assert str(path) in error.message and "\n" not in error.message
        assert len(error.message) < 500
        return False
    if np.prod(network.image_shape) > MOST_PIXELS or network._work_per_image > 10 * MOST_PIXELS:
        return True
    images = np.random.default_rng(0).normal(size=(3, *network.image_shape)).astype(np.float32)
    found = []
    for fill in (1e6, -7.5):
        guarded = Guarded(fill)
        with monkeypatch.context() as patch:
            patch.setattr(workspace, "np", guarded)
            found.append(load(path, threads=1)(images))
        assert guarded.made and guarded.untouched()
    assert np.array_equal(*found, equal_nan=True)  # nothing outside was read
    return True


@pytest.mark.parametrize(
    "number",
    [
        *range(20),
        *(pytest.param(n, marks=pytest.mark.slow) for n in range(20, 250)),
    ],
)
def test_mutated_file_is_refused_or_sound(contents, tmp_path, monkeypatch, number):
    path = tmp_path / "network.dst"
    accepted = 0
    for seed in range(40 * number, 40 * number + 40):
        path.write_bytes(mutated(contents[seed % len(contents)], seed))
        accepted += check(path, monkeypatch)
    assert accepted < 40


def test_unchanged_file_survives_the_mutator(contents, tmp_path, monkeypatch):
    for content in contents:
        (tmp_path / "network.dst").write_bytes(joined(*split(content)))
        assert check(tmp_path / "network.dst", monkeypatch)


def test_deploying_twice_gives_the_same_bytes(contents):
    assert write_bytes(compile_network(random_net(3), IMAGE, ABOUT)) == contents[3]
