"""Makes a record that can be recomputed, with its network and predictions, without training."""

import torch

from dstbench.config.choices import Choices
from dstbench.core.sparse_weights import write_weights
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.sources import digits
from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.precision import autocast_for
from dstbench.records import predictions
from dstbench.records import record as records
from dstbench.records.stored_network import stored_network
from dstbench.training.build import finalize, new_state
from dstbench.training.configure import assemble
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.evaluation import evaluate

CPU = torch.device("cpu")


def recomputable_record(*sets, method="methods/rigl.gin", protocol="strict", seed=0):
    """Return (record, bytes of its network): a run on digits whose network is not trained.

    sets: further gin bindings.
    """
    choices = Choices(
        files=(method,),
        axes=(("protocol", protocol), ("seed", seed)),
        sets=("ResNet20.width = 4", "Run.epochs = 1", *sets),
    )
    run, resolved = assemble(choices, "fp32")
    dataset = digits.load()
    loaders = DataLoaders(
        dataset, run.pipeline, PROTOCOLS[protocol], batch_size=64, seed=seed, device=CPU
    )
    state = new_state(run, 10, loaders.image_shape, 1, CPU)
    run.method.init_masks(state)
    training_only = finalize(run.method, state)
    engine = TorchEngine(state.model, autocast_for("fp32", CPU))
    scores = evaluate(engine, loaders.test())
    paths = find_live_paths(state.model, state.masks, state.image_shape)
    content = write_weights(state.model, state.masks)
    effective = paths.effective_sparsity(state.dense_numel)
    predicted = predictions.encode(scores.predicted.tolist(), 10)
    record = records.new(
        method=run.method.name, dataset="digits", model="ResNet20", recipe=run.recipe,
        protocol=protocol, precision="fp32", seed=seed,
        sparsity={
            "asked": run.method.sparsity, "measured": state.sparsity, "effective": effective,
        },
        config={"text": resolved.text, "sha256": resolved.sha256},
        provenance={
            "versions": {}, "device": "cpu", "commit": "c09d0e42" * 5, "dirty": False,
            "command": ["dstbench", "run"], "started": 1.0, "attempt": resolved.sha256[:32],
            "dataset_sha256": dataset.sha256, "train_seconds": 1.0,
        },
    )  # fmt: skip
    return record | {
        "status": "finished",
        "accuracy": {
            "test_final": scores.accuracy, "test_at_best_val": scores.accuracy,
            "best_val": 100 * 70 / 143, "best_epoch": 1, "val_final": 100 * 70 / 143,
            "shown": PROTOCOLS[protocol].shown, "selected_on_test": False,
        },
        "cost": cost(state.model, state.masks, state.image_shape, state.dense_numel)
        | {"training_only_parameters": training_only},
        "health": {"collapsed": True, "live_path_share": paths.fraction},
        "predictions": {
            "test": predicted, "test_at_best_val": predicted, "classes": 10, "at": "final",
        },
        "network": stored_network(content, "network.safetensors"),
    }, content  # fmt: skip
