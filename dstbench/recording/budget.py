"""Whether a finished network has the number of live weights that its run asked for."""

from collections.abc import Mapping
from typing import Any

from dstbench.sparsity import live_total, percent


def budget_problem(asked: float, cost: Mapping[str, Any]) -> str | None:
    """Return how a network misses its budget of live weights, None if it does not.

    asked: sparsity, a fraction from 0 to below 1.
    cost: of the record, with whole numbers of live and prunable weights.
    """
    live, prunable = cost["live_weights"], cost["prunable_weights"]
    budget = live_total(asked, prunable)
    if live == budget or (live < budget and is_smaller_dense(cost)):
        return None
    return f"{live:,} live weights, where {percent(asked)} of {prunable:,} leaves {budget:,}"


def is_smaller_dense(cost: Mapping[str, Any]) -> bool:
    """Return whether the network is dense and has fewer weights than the original one."""
    live, prunable = cost.get("live_weights"), cost.get("prunable_weights")
    if not isinstance(live, int) or not isinstance(prunable, int):
        return False
    return live == cost.get("stored_weights") and live < prunable
