"""Whether a finished network has the number of live weights that its run asked for."""

from dstbench.sparsity import live_total, percent


def budget_problem(asked: float, live: int, prunable: int, stored: int) -> str | None:
    """Return how a network misses its budget of live weights, None if it does not.

    A dense network may be below it: the sizes of smaller networks are coarse.

    asked: sparsity, a fraction from 0 to below 1.
    live: its live weights.
    prunable: prunable weights of the original network.
    stored: prunable weights of the network as it is, live or dead.
    """
    budget = live_total(asked, prunable)
    if live == budget or (live < budget and live == stored):
        return None
    return f"{live:,} live weights, where {percent(asked)} of {prunable:,} leaves {budget:,}"
