"""The end of training: the final and the best network are finalized, evaluated and written."""

from dataclasses import dataclass

import numpy as np

from dstbench.core.packing import load_network_, pack_network
from dstbench.core.sparse_weights import write_weights
from dstbench.core.state import State
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.metrics import health
from dstbench.metrics.cost import cost
from dstbench.metrics.training_cost import dense_training_macs
from dstbench.models.precision import Autocast
from dstbench.recording import predictions
from dstbench.recording.file_names import BEST_NETWORK, BEST_WEIGHTS, FINAL_NETWORK, FINAL_WEIGHTS
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.stored_network import stored_network
from dstbench.recording.types import Cost, Health, Predictions, StoredNetwork
from dstbench.training.build import finalize
from dstbench.training.dead_weights import refuse_nonzero_dead
from dstbench.training.distributed.process_group import ProcessGroup
from dstbench.training.engines.engine import Engine
from dstbench.training.evaluation import Scores, evaluate
from dstbench.training.network_file import NetworkFile
from dstbench.training.settings import Run


@dataclass(frozen=True)
class FinalResults:
    """What a run that trained to its end achieved.

    final: test scores of the final network.
    at_best: test scores of the network with the best validation accuracy; None without one.
    live_at_best: live weights of the network with the best validation accuracy; None without one.
    sparsity: of the final network, measured, in [0, 1].
    cost: of the final network, see `metrics.cost`.
    health: of the final network, see `metrics.health`.
    test_labels: int64 (n,).
    selected_on_test: whether the best network was chosen on the test images.
    predictions: of both networks, on the test images.
    network: the final network.
    network_at_best: the best one; None where the protocol does not show it.
    """

    final: Scores
    at_best: Scores | None
    live_at_best: int | None
    sparsity: float
    cost: Cost
    health: Health
    test_labels: np.ndarray
    selected_on_test: bool
    predictions: Predictions
    network: StoredNetwork
    network_at_best: StoredNetwork | None


def evaluate_final(
    run: Run,
    state: State,
    loaders: DataLoaders,
    folder: RunFolder,
    config: str,
    engine: Engine,
    autocast: Autocast,
    group: ProcessGroup,
) -> FinalResults:
    """Finalize the network, evaluate it and the best one on the test images, and write both.

    state: after the last step; afterwards it holds the best network, finalized.
    folder: where the networks are written.
    config: the run's resolved gin text, stored with them.
    engine: of the run.
    autocast: makes the context in which torch computes.
    group: the processes, each of which evaluates its shard of the test images.

    Raises UserError when dead weights are not zero.
    """
    training_only = finalize(run.method, state)
    refuse_nonzero_dead(state, run.method)
    final = evaluate(engine, loaders.test(), group.all_reduce_sum)
    classes = len(loaders.dataset.classes)
    predicted: Predictions = {
        "test": _encoded(final, classes, group),
        "classes": classes,
        "at": "final",
    }
    counted = cost(state.model, state.masks, state.image_shape, state.dense_numel, state.dense_macs)
    counted["training_only_parameters"] = training_only
    images = run.epochs * loaders.training.plan.count
    counted["training_flops"] = 2 * state.training_macs
    counted["dense_training_flops"] = 2 * dense_training_macs(counted["dense_macs"], images)
    figures = health.measure(state, *loaders.health_batch(), autocast)
    sparsity = state.sparsity
    folder.write_network(FINAL_NETWORK, network_content(state, loaders, config))
    network = _stored(state, folder, FINAL_WEIGHTS)
    at_best = live_at_best = network_at_best = None
    if state.best:
        load_network_(state.model, state.masks, state.best["network"])
        refuse_nonzero_dead(state, run.method)
        live_at_best = state.masks.total()
        at_best = evaluate(engine, loaders.test(), group.all_reduce_sum)
        predicted["test_at_best_val"] = _encoded(at_best, classes, group)
        folder.write_network(BEST_NETWORK, network_content(state, loaders, config))
        if PROTOCOLS[run.protocol].shown == "test_at_best_val":
            network_at_best = _stored(state, folder, BEST_WEIGHTS)
    return FinalResults(
        final=final,
        at_best=at_best,
        live_at_best=live_at_best,
        sparsity=sparsity,
        cost=counted,
        health=figures,
        test_labels=loaders.dataset.test.labels,
        selected_on_test=loaders.split.selected_on_test,
        predictions=predicted,
        network=network,
        network_at_best=network_at_best,
    )


def _encoded(scores: Scores, classes: int, group: ProcessGroup) -> str:
    """Return the predicted classes of all processes, which have consecutive shards, as text."""
    return predictions.encode(np.concatenate(group.all_gather(scores.predicted)).tolist(), classes)


def _stored(state: State, folder: RunFolder, name: str) -> StoredNetwork:
    """Return the network as the record carries it; a large one is written to the file `name`."""
    content = write_weights(state.model, state.masks)
    stored = stored_network(content, name)
    if "file" in stored:
        folder.write_network(name, content)
    return stored


def network_content(state: State, loaders: DataLoaders, config: str) -> bytes:
    """Return the content of a network's file, with the run's resolved gin text."""
    return NetworkFile(
        network=pack_network(state.model, state.masks),
        config=config,
        classes=list(loaders.dataset.classes),
        image_shape=list(state.image_shape),
        mean=list(loaders.pipeline.mean),
        std=list(loaders.pipeline.std),
    ).to_bytes()
