"""Checks the cost of a finished record: totals against layers, layers against their shapes."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.boards.numbers import is_count
from dstbench.boards.training_cost_checks import training_cost_problems

_SUMS = {  # total → of every layer
    "macs": "macs",
    "dense_macs": "dense_macs",
    "live_weights": "live",
    "stored_weights": "size",
}


def cost_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each number in a finished record's cost that contradicts another."""
    cost = record["cost"]
    layers = cost.get("layers")
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        yield "cost.layers is not a list of layers"
        return
    for layer in layers:
        if problem := _layer_problem(layer):
            yield f"cost of {layer.get('name')!r}: {problem}"
            return
    for total, part in _SUMS.items():
        added = sum(layer[part] for layer in layers)
        if total == "dense_macs" and _is_smaller_dense(cost) and (cost.get(total) or 0) > added:
            continue  # of the original network, which had more layers or wider ones
        if cost.get(total) != added:
            yield f"cost.{total} is {cost.get(total)!r}, but the layers add up to {added}"
    for flops, macs in (("flops", "macs"), ("dense_flops", "dense_macs")):
        if cost.get(flops) != 2 * (cost.get(macs) or 0):
            yield f"cost.{flops} is {cost.get(flops)!r}, not twice cost.{macs}"
            return
    yield from training_cost_problems(record)


def _is_smaller_dense(cost: Mapping[str, Any]) -> bool:
    """Return whether the network is dense and has fewer weights than the original one."""
    live, prunable = cost.get("live_weights"), cost.get("prunable_weights")
    if not isinstance(live, int) or not isinstance(prunable, int):
        return False
    return live == cost.get("stored_weights") and live < prunable


def _layer_problem(layer: Mapping[str, Any]) -> str | None:
    for key in ("live", "size", "uses", "positions", "macs", "dense_macs"):
        if not is_count(layer.get(key)):
            return f"{key} is {layer.get(key)!r}, not a count"
    shape = layer.get("shape")
    if not isinstance(shape, list) or not all(is_count(size) for size in shape):
        return f"shape is {shape!r}"
    if math.prod(shape) != layer["size"]:
        return f"size is {layer['size']}, but its shape {shape} has {math.prod(shape)} elements"
    if layer["live"] > layer["size"]:
        return f"{layer['live']} of {layer['size']} weights are live"
    offset = layer.get("offset_macs", 0)
    if not is_count(offset) or layer["macs"] - offset > layer["dense_macs"]:
        return f"{layer['macs']} MACs are more than the {layer['dense_macs']} of a dense layer"
    return None
