"""Compares a record's numbers with those of its rebuilt network."""

from collections.abc import Iterator, Sequence

import numpy as np

from dstbench.boards.numbers import is_finite
from dstbench.core.prunable import unpruned
from dstbench.core.state import State
from dstbench.metrics.collapse import is_collapsed, majority_class_fraction
from dstbench.metrics.cost import cost
from dstbench.metrics.health import live_channels, live_zeros
from dstbench.metrics.live_paths import find_live_paths
from dstbench.recording.budget import budget_problem
from dstbench.recording.record import plain
from dstbench.recording.types import Record

ROUNDING = 1e-9  # of a fraction or a percentage
_IF_ANY = ("uncounted", "unpruned", "unpruned_fraction")  # of a cost; absent for none


def network_problems(record: Record, state: State, training_only: int) -> Iterator[str]:
    """Yield a message for each number of a record that its final network does not have.

    state: holds the network, finalized.
    training_only: number of parameters that served training only.
    """
    yield from budget_problems(record, state)
    if abs(state.sparsity - record["sparsity"]["measured"]) > ROUNDING:
        yield f"sparsity.measured is {record['sparsity']['measured']}, not {state.sparsity}"
    counted = plain(
        cost(state.model, state.masks, state.image_shape, state.dense_numel, state.dense_macs)
    )
    counted["training_only_parameters"] = training_only
    for key in (*counted, *_IF_ANY):
        if key == "layers":
            continue
        claimed_cost, value = record["cost"].get(key), counted.get(key)
        if key in _IF_ANY and not claimed_cost and not value:
            continue
        if (key in record["cost"] or key in _IF_ANY) and claimed_cost != value:
            yield f"cost.{key} is {claimed_cost!r}, not {value!r}"
    for claimed, layer in zip(record["cost"]["layers"], counted["layers"], strict=False):
        if claimed != layer:
            yield f"the cost of {layer['name']} is {claimed}, not {layer}"
            break
    if len(record["cost"]["layers"]) != len(counted["layers"]):
        yield f"cost has {len(record['cost']['layers'])} layers, not {len(counted['layers'])}"
    paths = find_live_paths(state.model, state.masks, state.image_shape)
    for name, found, claimed_path in (
        (
            "sparsity.effective",
            paths.effective_sparsity(state.dense_numel),
            record["sparsity"]["effective"],
        ),
        ("health.live_path_share", paths.fraction, record["health"]["live_path_share"]),
    ):
        if (found is None) != (claimed_path is None) or (
            found is not None and claimed_path is not None and abs(found - claimed_path) > ROUNDING
        ):
            yield f"{name} is {claimed_path}, not {found}"


def unpruned_problems(record: Record, begin: State) -> Iterator[str]:
    """Yield a message if a record's weights that are never pruned are not those of its network.

    begin: the run's State before its first masks.
    """
    found, claimed = unpruned(begin.model), record["sparsity"]
    if claimed.get("unpruned", {}) != found.sizes:
        yield f"sparsity.unpruned is {claimed.get('unpruned')!r}, not {found.sizes!r}"
    fraction = claimed.get("unpruned_fraction", 0.0)
    if not is_finite(fraction) or abs(fraction - found.fraction) > ROUNDING:
        yield f"sparsity.unpruned_fraction is {fraction!r}, not {found.fraction!r}"


def health_problems(record: Record, state: State, labels: Sequence[int]) -> Iterator[str]:
    """Yield a message for each figure of health that a record's final network does not have.

    state: holds the network, finalized.
    labels: of the test images.

    Figures that need training images are not compared.
    """
    health = record["health"]
    zeros = {name: live_zeros(state, name) for name in state.masks.parameters}
    live = {name: state.masks.live(name) for name in state.masks.parameters}
    for key, found in (
        ("live_zeros", sum(zeros.values())),
        ("layers_live_zeros", zeros),
        ("layers_live", live),
        ("live_channels", live_channels(state)),
    ):
        if key in health and health[key] != found:  # type: ignore[literal-required]
            yield f"health.{key} is {health[key]!r}, not {found!r}"  # type: ignore[literal-required]
    for key, value in (
        ("sparsity", record["sparsity"]["measured"]),
        ("effective_sparsity", record["sparsity"]["effective"]),
    ):
        if key in health and health[key] != value:  # type: ignore[literal-required]
            yield f"health.{key} is {health[key]!r}, and in the sparsity {value!r}"  # type: ignore[literal-required]
    majority = majority_class_fraction(np.asarray(labels))
    accuracy, paths = record["accuracy"]["test_final"], health["live_path_share"]
    collapsed = is_collapsed(paths, accuracy, majority, len(labels))
    if health["collapsed"] is not collapsed:
        yield f"health.collapsed is {health['collapsed']!r}, not {collapsed!r}"


def budget_problems(record: Record, state: State) -> Iterator[str]:
    """Yield a message if a network's live weights are not those that its sparsity leaves."""
    counts = (state.masks.total(), state.dense_numel, state.masks.numel())
    if problem := budget_problem(record["sparsity"]["asked"], *counts):
        yield f"its network has {problem}"
