"""Compares a record's numbers with those of its rebuilt network."""

from collections.abc import Iterator

from dstbench.core.state import State
from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths
from dstbench.records.record import plain
from dstbench.records.types import Record
from dstbench.sparsity import live_total

_ROUNDING = 1e-9


def network_problems(record: Record, state: State, training_only: int) -> Iterator[str]:
    """Yield a message for each number of a record that its final network does not have.

    state: holds the network, finalized.
    training_only: number of parameters that served training only.
    """
    yield from budget_problems(record, state)
    if abs(state.sparsity - record["sparsity"]["measured"]) > _ROUNDING:
        yield f"sparsity.measured is {record['sparsity']['measured']}, not {state.sparsity}"
    counted = plain(
        cost(state.model, state.masks, state.image_shape, state.dense_numel, state.dense_macs)
    )
    counted["training_only_parameters"] = training_only
    for key, value in counted.items():
        if key == "layers":
            continue
        if key in record["cost"] and record["cost"][key] != value:  # type: ignore[literal-required]
            yield f"cost.{key} is {record['cost'][key]!r}, not {value!r}"  # type: ignore[literal-required]
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
            found is not None and claimed_path is not None and abs(found - claimed_path) > _ROUNDING
        ):
            yield f"{name} is {claimed_path}, not {found}"


def budget_problems(record: Record, state: State) -> Iterator[str]:
    """Yield a message if a network's live weights are not those that its sparsity leaves."""
    asked = record["sparsity"]["asked"]
    budget, live = live_total(asked, state.dense_numel), state.masks.total()
    if live > budget or (live < budget and state.masks):
        yield f"its network has {live:,} live weights; the sparsity {asked} leaves {budget:,}"
