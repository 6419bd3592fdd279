"""No file, whatever its numbers, makes a network touch memory that is not its own."""

import pytest
from helpers.deploy_networks import IMAGE, random_net
from helpers.guarded_networks import accepted
from helpers.handmade_networks import extreme
from helpers.mutated_networks import joined, mutated, split

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.program_file import write_bytes

ABOUT = {"classes": ["a", "b", "c"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
POOLS = ("none", "max", "ceil", "mean", "max", "none")
BATCHES = [*range(10), *(pytest.param(n, marks=pytest.mark.slow) for n in range(10, 250))]


@pytest.fixture(scope="module")
def contents():
    nets = [random_net(seed, pool=pool) for seed, pool in enumerate(POOLS)]
    return [write_bytes(compile_network(net, IMAGE, ABOUT)) for net in nets]


@pytest.mark.parametrize("number", BATCHES)
def test_mutated_file_is_refused_or_sound(contents, tmp_path, number):
    path = tmp_path / "network.dst"
    sound = 0
    for seed in range(40 * number, 40 * number + 40):
        path.write_bytes(mutated(contents[seed % len(contents)], seed))
        sound += accepted(path)
    assert sound < 40


@pytest.mark.parametrize("number", BATCHES)
def test_file_of_extreme_sizes_is_refused_or_sound_in_both_interpreters(tmp_path, number):
    path = tmp_path / "network.dst"
    sound = 0
    for seed in range(20 * number, 20 * number + 20):
        path.write_bytes(extreme(seed))
        sound += accepted(path, ("numba", "numpy"))
        path.write_bytes(mutated(path.read_bytes(), seed))
        accepted(path)
    assert 0 < sound < 20


def test_unchanged_file_survives_the_mutator(contents, tmp_path):
    for content in contents:
        (tmp_path / "network.dst").write_bytes(joined(*split(content)))
        assert accepted(tmp_path / "network.dst", ("numba", "numpy"))


def test_deploying_twice_gives_the_same_bytes(contents):
    assert write_bytes(compile_network(random_net(3, pool="mean"), IMAGE, ABOUT)) == contents[3]
