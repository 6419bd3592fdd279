"""Makes a record that can be recomputed, with its network and predictions, without training."""

import functools
import platform

import torch

from dstbench.config.choices import Choices
from dstbench.core.sparse_weights import write_weights
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.sources import digits
from dstbench.metrics.collapse import is_collapsed, majority_class_fraction
from dstbench.metrics.cost import cost
from dstbench.metrics.health import live_zeros
from dstbench.metrics.live_paths import find_live_paths
from dstbench.metrics.training_cost import TrainingCost, dense_training_macs
from dstbench.models.precision import autocast_for
from dstbench.recording import predictions, provenance
from dstbench.recording import record as records
from dstbench.recording.stored_network import stored_network
from dstbench.training.build import finalize, new_state
from dstbench.training.configure import assemble
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.evaluation import evaluate
from dstbench.training.initial_weights import sha256_of

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
    plan = loaders.training.plan
    state = new_state(run, 10, loaders.image_shape, run.epochs * plan.steps_per_epoch, CPU)
    initial = sha256_of(state.model)
    run.method.init_masks(state)
    training = training_cost(run, state, plan)
    training_only = finalize(run.method, state)
    engine = TorchEngine(state.model, autocast_for("fp32", CPU))
    scores = evaluate(engine, loaders.test())
    val = evaluate(engine, loaders.validation(0)).accuracy
    majority = majority_class_fraction(dataset.test.labels)
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
            "versions": provenance.versions(), "platform": platform.platform(), "device": "cpu",
            "commit": "c09d0e42" * 5, "dirty": False,
            "command": ["dstbench", "run"], "started": 1.0, "ended": 2.0,
            "attempt": resolved.sha256[:32],
            "dataset_sha256": dataset.sha256, "train_seconds": 1.0,
            "initial_weights_sha256": initial,
        },
    )  # fmt: skip
    return record | {
        "status": "finished",
        "accuracy": {
            "test_final": scores.accuracy, "test_at_best_val": scores.accuracy,
            "best_val": val, "best_epoch": 1, "val_final": val,
            "shown": PROTOCOLS[protocol].shown, "selected_on_test": False,
        },
        "cost": cost(state.model, state.masks, state.image_shape, state.dense_numel)
        | {"training_only_parameters": training_only, **training},
        "health": {
            "collapsed": is_collapsed(paths.fraction, scores.accuracy, majority, 359),
            "live_path_share": paths.fraction,
            "live_zeros": sum(live_zeros(state, name) for name in state.masks.parameters),
        },
        "predictions": {
            "test": predicted, "test_at_best_val": predicted, "classes": 10, "at": "final",
        },
        "network": stored_network(content, "network.safetensors"),
    }, content  # fmt: skip


def training_cost(run, state, plan):
    """Return the training FLOPs that a run's own meter counts, for masks that keep their counts."""
    meter = TrainingCost(run.method, state, plan.size_at)
    for step in range(state.total_steps):
        state.step = step
        run.method.before_step(state)
        meter.after_backward(state)
    dense = dense_training_macs(state.dense_macs, run.epochs * plan.count)
    return {"training_flops": 2 * state.training_macs, "dense_training_flops": 2 * dense}


@functools.cache
def made(**settings):
    """Return the same for these settings, made once: copy what is to be changed."""
    return recomputable_record(**settings)
