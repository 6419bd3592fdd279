"""What a record says of the final network, said of the one that validated best."""

from dataclasses import replace

from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths
from dstbench.training.trained_network import TrainedNetwork


def with_own_facts(network: TrainedNetwork) -> TrainedNetwork:
    """Return a run's best network with a record of its own sparsity, cost and collapse.

    It has collapsed without a live path, or if it is no better than a final one that has.
    """
    record, shape = network.record, network.image_shape
    dense = network.dense_numel, record["cost"]["dense_macs"]
    counted = cost(network.model, network.masks, shape, *dense)
    counted["training_only_parameters"] = record["cost"]["training_only_parameters"]  # gone here
    paths = find_live_paths(network.model, network.masks, shape)
    accuracy, health = record["accuracy"], record["health"]
    final, at_best = accuracy["test_final"], accuracy["test_at_best_val"]
    no_better = at_best is not None and final is not None and at_best <= final
    collapsed = paths.fraction == 0 or (health["collapsed"] and no_better)
    measured = 1 - network.masks.total() / network.dense_numel
    own = record | {
        "sparsity": record["sparsity"] | {"measured": measured},
        "cost": record["cost"] | counted,
        "health": health | {"collapsed": collapsed, "live_path_share": paths.fraction},
    }
    return replace(network, record=own)
