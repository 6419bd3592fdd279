"""Axes: which rows and columns are alike, seen through taps and joined."""

import pytest
import torch
from torch import nn

from dstbench.core.masks import Masks
from dstbench.graph.trace import trace
from dstbench.methods.dyrelu import DyReLU
from dstbench.native.axes import Axes, axes_of
from dstbench.native.network import NativeNetwork
from dstbench.native.read_layers import layers_of
from dstbench.native.tables import (
    C_COLUMNS,
    C_HEIGHT,
    C_ROWS,
    C_WIDTH,
    E_REPEATS,
    X_CELL,
    X_FIRST,
    X_REPEATS,
    Z_REPEATS,
)
from dstbench.native.wiring import WeightVector, Wiring, taps_of


def cells(axes: Axes, axis: int, size: int) -> list[int]:
    return axes.table()[axis, X_CELL, :size].tolist()


@pytest.mark.parametrize(
    "size, step, shift, expected",
    [
        (5, 1, 0, [0, 0, 0, 0, 0]),
        (5, 1, -1, [0, 1, 1, 1, 1]),
        (5, 1, 1, [0, 0, 0, 0, 1]),
        (5, 1, 3, [0, 0, 1, 1, 1]),
        (3, 2, -1, [0, 1, 1]),
        (3, 2, 0, [0, 0, 0]),
        (2, 1, 7, [0, 0]),
    ],
)
def test_a_tap_on_rows_that_are_alike_tells_those_apart_that_see_padding(
    size, step, shift, expected
):
    axes = Axes()
    assert cells(axes, axes.seen(axes.alike(5), size, step, shift), size) == expected


def test_rows_are_alike_on_a_joined_axis_where_they_are_on_both():
    axes = Axes()
    alike, whole = axes.alike(5), axes.whole(5)
    first, last = axes.seen(alike, 5, 1, -1), axes.seen(alike, 5, 1, 1)
    both = axes.joined(first, last)
    assert cells(axes, both, 5) == [0, 1, 1, 1, 2]
    assert axes.cells()[both] == 3
    assert axes.table()[both, X_FIRST, :3].tolist() == [0, 1, 4]
    assert axes.table()[both, X_REPEATS, :3].tolist() == [1, 3, 1]
    assert axes.joined(first, whole) == whole
    assert axes.joined(alike, first) == first


def sizes(live: list[int]) -> list[tuple[int, int]]:
    """Return (rows, columns) of cells of each node's first channel.

    The network is two convolutions of one channel, 6 × 6 pixels, each with a DyReLU.

    live: kernel positions of the second one's live weights; the first one has none.
    """
    model = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1, bias=False),
        nn.BatchNorm2d(1),
        DyReLU(1, 1, "outputs"),
        nn.Conv2d(1, 1, 3, padding=1, bias=False),
        nn.BatchNorm2d(1),
        DyReLU(1, 1, "outputs"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1, 2, bias=False),
    )
    masks = Masks(model)
    first, second = list(masks.parameters)[:2]
    masks.write_(first, torch.tensor([], dtype=torch.int64))
    masks.write_(second, torch.tensor(live, dtype=torch.int64))
    layers = layers_of(trace(model, (1, 6, 6)), (1, 6, 6))
    wiring = Wiring(layers)
    axes, rows, columns = axes_of(wiring, taps_of(wiring, WeightVector(layers, model, masks)))
    count = axes.cells()
    return [(int(count[rows[n]]), int(count[columns[n]])) for n in wiring.channel[:-1].tolist()]


@pytest.mark.parametrize(
    "live, expected", [([], (1, 1)), ([4], (1, 1)), ([0], (2, 2)), ([1], (2, 1)), ([0, 8], (3, 3))]
)
def test_only_cells_that_see_padding_differ(live, expected):
    image, before, activation, after, last = sizes(live)[:5]
    assert image == (6, 6)
    assert before == activation == (1, 1)
    assert after == last == expected


@pytest.mark.slow  # compiles the kernels
def test_without_dynamic_activations_every_cell_is_a_pixel():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2, bias=False),
    )
    masks = Masks(model)
    masks.write_(next(iter(masks.parameters)), torch.tensor([0, 13]))
    program = NativeNetwork(model, masks, (1, 6, 6)).compiled(4).forward
    channels = program.channels
    assert (channels[:, C_ROWS] == channels[:, C_HEIGHT]).all()
    assert (channels[:, C_COLUMNS] == channels[:, C_WIDTH]).all()
    assert (program.zones[:, Z_REPEATS] == 1).all() and (program.entries[:, E_REPEATS] == 1).all()
