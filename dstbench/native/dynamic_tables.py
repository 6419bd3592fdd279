"""What the kernels' tables have for dynamic activations."""

from collections.abc import Callable

import numpy as np

from dstbench.native.liveness import Liveness
from dstbench.native.order import Order
from dstbench.native.tables import VIEW
from dstbench.native.wiring import Array, Wiring


def dynamic_tables(
    wiring: Wiring, get: Callable[[str, int], Array], batch: int
) -> dict[str, Array]:
    """Return the means and coefficients of dynamic activations, and their gradients, by name."""
    rows = int((wiring.dynamic_of >= 0).sum())
    found: dict[str, Array] = {"gradient_sums": np.zeros(rows)}
    for name in ("means", "own_means", "mean_gradients"):
        found[name] = get(name, rows * batch)[: rows * batch].reshape(rows, batch)
    for name in ("coefficients", "coefficient_gradients"):
        size = 4 * rows * batch
        found[name] = get(name, size)[:size].reshape(4 * rows, batch)
    return found


def coefficient_rows(wiring: Wiring, live: Liveness) -> tuple[Array, Array]:
    """Return the row of a₁ of each channel, and how far a₂, b₁ and b₂ are.

    Dynamic activations that are not computed have no rows; others of a node are consecutive.
    """
    run = (wiring.dynamic_of >= 0) & live.run
    before = np.cumsum(run) - run
    first = before[wiring.channel[wiring.node_of]]
    step = np.bincount(wiring.node_of[run], minlength=len(wiring.layers.nodes))[wiring.node_of]
    return 4 * first + before - first, step


def addends(wiring: Wiring, live: Liveness, order: Order) -> Array:
    """Return the row of mean gradients that each channel's gradient gets, or -1."""
    own = (wiring.dynamic_by >= 0) & ~live.through
    following = (order.following >= 0) & live.through[order.following]
    found = np.where(own, wiring.dynamic_row, -1)
    return np.where(following, wiring.dynamic_row[order.following], found)


def keeps_means(wiring: Wiring, live: Liveness) -> Array:
    """Return whether a channel is a dynamic activation that another one is linked to alone."""
    kept = np.zeros(len(live.live), bool)
    kept[wiring.link[(live.kind == VIEW) & (wiring.link >= 0) & (wiring.dynamic_by >= 0)]] = True
    return kept & (wiring.dynamic_of >= 0)
