"""Makes records of made-up runs, consistent in themselves; the one factory of the tests."""

import functools
import hashlib

from dstbench.boards.validation import record_name
from dstbench.config.suite_methods import classes_with, suite_parts
from dstbench.recording import predictions
from dstbench.recording import record as records
from dstbench.recording.stored_network import stored_network
from dstbench.sparsity import live_total

PRUNABLE = 100_000  # weights of the made-up network
SETTINGS = {
    "Run.epochs": "250", "Run.batch_size": "128", "Run.train_images": "None",
    "Run.lr_schedule": "None", "Run.method": "@Method()", "Run.optimizer": "@SGD()",
    "Run.pipeline": "@Pipeline()", "Run.split_seed": "0", "Method.parts": "[@ERK(), @RigL()]",
    "ResNet34.width": "64",
}  # fmt: skip


def make_record(
    method="RigL",
    seed=0,
    accuracy=90.0,
    sparsity=0.99,
    *,
    status="finished",
    collapsed=False,
    live=None,
    images="d161",
    settings=(),
    selected_on_test=False,
    **names,
):
    """Return the record of a run.

    accuracy: the one that is reported, in percent.
    status: "running", "finished" or "diverged"; only a finished run has accuracy, cost and health.
    live: number of live weights; None for what the sparsity leaves.
    images: hash of the dataset.
    settings: further gin bindings.
    names: dataset, model, recipe, protocol, precision.
    """
    names = {
        "dataset": "cifar10", "model": "ResNet34", "recipe": "cifar10_resnet34",
        "protocol": "paper", "precision": "bf16",
    } | names  # fmt: skip
    lines = {"Method.name": repr(method), "ERK.sparsity": repr(sparsity), **SETTINGS}
    parts = _parts(method)
    lines |= parts
    lines |= {f"Run.{name}": repr(value) for name, value in names.items()}
    lines |= {"Run.model": f"@{names['model']}", "Run.seed": str(seed)} | dict(settings)
    text = "".join(f"{name} = {value}\n" for name, value in sorted(lines.items()))
    live = live_total(sparsity, PRUNABLE) if live is None else live
    record = records.new(
        method=method, seed=seed, **names,
        sparsity={"asked": sparsity, "measured": 1 - live / PRUNABLE, "effective": None},
        config={"text": text, "sha256": sha256(text)},
        provenance={
            "versions": {"torch": "2.15.0"}, "device": "cpu", "commit": "c09d0e42" * 5,
            "dirty": False, "command": ["dstbench", "run"], "started": 1.0, "ended": 61.0,
            "attempt": sha256(text)[:32],
            "train_seconds": 60.0, "dataset_sha256": images,
        },
    )  # fmt: skip
    if status == "running":
        return record
    if status == "diverged":
        return record | {"status": "diverged", "error": "the loss is NaN"}
    reported = "test_final" if names["protocol"] == "strict" else "test_at_best_val"
    return record | {
        "status": "finished",
        "accuracy": accuracy_section(accuracy, shown=reported, selected_on_test=selected_on_test),
        "cost": cost_section(live),
        "health": {"collapsed": collapsed, "live_path_share": 1.0},
        "predictions": {"test": first_class(names["dataset"]), "classes": 10, "at": "final"},
        "network": stored_network(text.encode(), "network.safetensors"),
        **_dense_to_sparse(parts),
    }  # fmt: skip


def _dense_to_sparse(parts):
    """Return what the record of a method has if it is sparse at its end only."""
    named = parts.get("Method.parts", "")
    late = any(f"@{name}()" in named for name in classes_with("dense_to_sparse"))
    return {"dense_to_sparse": True} if late else {}


def _parts(method):
    """Return the bindings of a suite's method that make its parts; none for another name."""
    if method == "EAST":
        parts = ("WeightSharing", "DyReLUPhasing", "ERK", "Cyclic", "GradientClip")
        names = ("sharing", "activation", "budget", "topology", "clip")
        own = {f"EAST.{n}": f"@{p}()" for n, p in zip(names, parts, strict=True)}
        return {"Run.method": "@EAST()", "EAST.name": "'EAST'", **own}
    if method not in suite_parts():
        return {}
    (_, *parts) = max(suite_parts()[method])
    return {"Method.parts": f"[{', '.join(f'@{part}()' for part in parts)}]"}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def cost_section(live):
    """Return the section `cost` of a network of one layer, with so many live weights."""
    layer = {
        "name": "conv.weight", "shape": [PRUNABLE], "live": live, "size": PRUNABLE, "uses": 1,
        "positions": 1, "macs": live, "offset_macs": 0, "dense_macs": PRUNABLE,
    }  # fmt: skip
    return {
        "macs": live, "dense_macs": PRUNABLE, "offset_macs": 0, "flops": 2 * live,
        "dense_flops": 2 * PRUNABLE, "live_weights": live, "stored_weights": PRUNABLE,
        "prunable_weights": PRUNABLE, "layers": [layer],
    }  # fmt: skip


@functools.cache
def first_class(dataset):
    """Return predictions of class 0 for every test image."""
    return predictions.encode([0] * {"digits": 359}.get(dataset, 10_000), 10)


def accuracy_section(accuracy, **changes):
    """Return the section `accuracy` of a finished record.

    The validation accuracies are rounded, to whole numbers of 5,000 images.
    """
    values = dict.fromkeys(("test_final", "test_at_best_val"), accuracy)
    values |= dict.fromkeys(("best_val", "val_final"), float(round(accuracy)))
    constants = {"best_epoch": 3, "shown": "test_final", "selected_on_test": False}
    return values | constants | changes


def name_of(record):
    """Return the name of the run's folder, which is that of its record on a leaderboard."""
    return record_name(record)
