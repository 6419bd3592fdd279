"""Worst cases: exact ERK counts, every live weight on a path, and they compile exactly."""

import pytest
from helpers.deploy_networks import compare
from helpers.tiny_runs import started
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.errors import UserError
from dstbench.measure.measured_network import from_worst_case
from dstbench.measure.worst_case import worst_case
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet20, ResNet34


class Small(nn.Sequential):
    """Two convolutions, a maximum and a classifier."""

    def __init__(self, num_classes, in_channels):
        super().__init__(
            nn.Conv2d(in_channels, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, stride=2, bias=False),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, num_classes),
        )


@pytest.mark.parametrize(
    "model, image, sparsity",
    [
        (Small, (3, 8, 8), 0.9),
        pytest.param(ResNet20, (3, 32, 32), 0.97, marks=pytest.mark.slow),
        pytest.param(ResNet34, (3, 32, 32), 0.9995, marks=pytest.mark.slow),
        pytest.param(ResNet20, (1, 8, 8), 0.9, marks=pytest.mark.slow),
    ],
)
def test_worst_case_has_every_live_weight_on_a_path_and_compiles_exactly(model, image, sparsity):
    network, masks = worst_case(model, sparsity, seed=1, image_shape=image)
    assert find_live_paths(network, masks, image).fraction == 1
    _, state = started(model(10, image[0]), [ERK(sparsity)])
    assert masks.counts() == state.masks.counts()
    assert compare(network, image, 3, threads=2)[0] <= 1e-4


PLUGIN = """
import dstbench
from torch import nn

@dstbench.register("models")
class FlatWithImageSize(nn.Sequential):
    def __init__(self, num_classes: int, image_size: int):
        super().__init__(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))
"""


def test_worst_case_of_a_plugin_is_built_as_in_a_run(tmp_path):
    plugin = tmp_path / "flat.py"
    plugin.write_text(PLUGIN)
    found = from_worst_case("FlatWithImageSize", 0.5, (3, 4, 4), 7, [plugin])
    assert found.plain[1].weight.shape == found.model[1].weight.shape == (7, 48)
    with pytest.raises(UserError, match="takes one image_size"):
        from_worst_case("FlatWithImageSize", 0.5, (3, 4, 5), 7)


def test_worst_case_of_a_seed_is_reproducible():
    (_, first), (_, again), (_, other) = (
        worst_case(Small, 0.9, seed, (3, 8, 8)) for seed in (1, 1, 2)
    )
    assert all((first[name] == mask).all() for name, mask in again.items())
    assert any((first[name] != mask).any() for name, mask in other.items())


def test_worst_case_refuses_convolutions_with_groups():
    class Grouped(nn.Sequential):
        def __init__(self, num_classes, in_channels):
            super().__init__(
                nn.Conv2d(in_channels, 9, 3, groups=3), nn.Flatten(), nn.Linear(36, num_classes)
            )

    with pytest.raises(UserError, match="convolutions without groups only"):
        worst_case(Grouped, 0.5, image_shape=(3, 4, 4))
