"""move_onto_paths: the fullest kernels are filled first; a cut network and its total."""

import numpy as np
from torch import nn

from dstbench.graph.channel_graph import ChannelGraph
from dstbench.graph.trace import trace
from dstbench.methods.onto_paths import fill, move_onto_paths


def test_filling_starts_with_the_fullest_kernels():
    mask = np.zeros((2, 2, 4), bool)
    mask[0, 0, :3] = mask[1, 1, 0] = mask[1, 0, :2] = True
    allowed = np.array([[True, False], [True, True]])
    assert fill(mask, allowed, 4, np.random.default_rng(0)) == 4
    assert mask.sum(2).tolist() == [[4, 0], [4, 2]]
    assert fill(mask, allowed, 9, np.random.default_rng(0)) == 2
    assert mask.sum(2).tolist() == [[4, 0], [4, 4]]


def test_filling_1x1_kernels_starts_with_the_input_of_the_most_weights():
    mask = np.zeros((3, 2, 1), bool)
    mask[0, 0] = mask[0, 1] = mask[1, 1] = True
    fill(mask, np.ones((3, 2), bool), 1, np.random.default_rng(0))
    assert mask[:, 1].all() and mask.sum() == 4


def moved(*masks):
    """The masks of a chain of linear layers, 3 → 3 → 3, after the move."""
    model = nn.Sequential(nn.Flatten(), *(nn.Linear(3, 3, bias=False) for _ in masks))
    graph = ChannelGraph(trace(model, (3, 1, 1)), (3, 1, 1))
    chosen = {f"{i}.weight": np.array(m, bool)[..., None] for i, m in enumerate(masks, 1)}
    move_onto_paths(graph, chosen, np.random.default_rng(0))
    return [m[..., 0].astype(int).tolist() for m in chosen.values()]


def test_weights_move_within_their_layer_and_what_has_no_room_to_the_next():
    """Channel 1 is on all paths. In the middle, one weight writes an unread channel, 3."""
    first = [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    last = [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert moved(first, [[1, 0, 0], [0, 0, 0], [1, 0, 0]], last) == [
        first, [[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[1, 0, 0], [1, 0, 0], [1, 0, 0]],
    ]  # fmt: skip


def test_nothing_moves_where_all_weights_are_on_paths():
    masks = [[[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 1, 0], [0, 0, 0], [0, 0, 0]]]
    assert moved(*masks) == masks


def test_the_total_stays_where_no_path_is_left():
    both = moved([[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert np.sum(both) == 2
