"""The end of training: the final and the best network are finalized, evaluated and written."""

from dataclasses import dataclass

import numpy as np

from dstbench.core.packing import load_network_, pack_network
from dstbench.core.state import State
from dstbench.data.loaders import DataLoaders
from dstbench.metrics import health
from dstbench.metrics.cost import cost
from dstbench.models.precision import Autocast
from dstbench.records.file_names import BEST_NETWORK, FINAL_NETWORK
from dstbench.records.run_folder import RunFolder
from dstbench.records.types import Cost, Health
from dstbench.training.build import finalize
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.evaluation import Scores, evaluate
from dstbench.training.meters import AllReduceSum
from dstbench.training.network_file import NetworkFile
from dstbench.training.settings import Run


@dataclass(frozen=True)
class FinalResults:
    """What a run that trained to its end achieved.

    final: test scores of the final network.
    at_best: test scores of the network with the best validation accuracy; None without one.
    sparsity: of the final network, measured, in [0, 1].
    cost: of the final network, see `metrics.cost`.
    health: of the final network, see `metrics.health`.
    test_labels: int64 (n,).
    selected_on_test: whether the best network was chosen on the test images.
    """

    final: Scores
    at_best: Scores | None
    sparsity: float
    cost: Cost
    health: Health
    test_labels: np.ndarray
    selected_on_test: bool


def evaluate_final(
    run: Run,
    state: State,
    loaders: DataLoaders,
    folder: RunFolder,
    config: str,
    autocast: Autocast,
    all_reduce_sum: AllReduceSum,
) -> FinalResults:
    """Finalize the network, evaluate it and the best one on the test images, and write both.

    state: after the last step; afterwards it holds the best network, finalized.
    folder: where the networks are written.
    config: the run's resolved gin text, stored with them.
    """
    training_only = finalize(run.method, state)
    engine = TorchEngine(state.model, autocast)
    final = evaluate(engine, loaders.test(), all_reduce_sum)
    counted = cost(state.model, state.masks, state.image_shape, state.dense_numel)
    counted["training_only_parameters"] = training_only
    figures = health.measure(state, *loaders.health_batch(), autocast)
    sparsity = state.sparsity
    folder.write_network(FINAL_NETWORK, _network_file(state, loaders, config))
    at_best = None
    if state.best:
        load_network_(state.model, state.masks, state.best["network"])
        at_best = evaluate(engine, loaders.test(), all_reduce_sum)
        folder.write_network(BEST_NETWORK, _network_file(state, loaders, config))
    return FinalResults(
        final=final,
        at_best=at_best,
        sparsity=sparsity,
        cost=counted,
        health=figures,
        test_labels=loaders.dataset.test.labels,
        selected_on_test=loaders.split.selected_on_test,
    )


def _network_file(state: State, loaders: DataLoaders, config: str) -> bytes:
    return NetworkFile(
        network=pack_network(state.model, state.masks),
        config=config,
        classes=list(loaders.dataset.classes),
        image_shape=list(state.image_shape),
        mean=list(loaders.pipeline.mean),
        std=list(loaders.pipeline.std),
    ).to_bytes()
