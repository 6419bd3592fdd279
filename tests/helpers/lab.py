"""Records as a lab leaves them, true in themselves, for tests of what a board makes of them."""

import hashlib
import json
from pathlib import Path

from dstbench.records import record as records
from dstbench.records.run_name import run_name
from dstbench.sparsity import live_total

PRUNABLE = 100_000
CHANCE = 10.0
SETTINGS = {
    "Run.epochs": "250", "Run.batch_size": "128", "Run.train_images": "None",
    "ResNet34.width": "64",
}  # fmt: skip


def record(
    method="RigL",
    seed=0,
    accuracy=90.0,
    sparsity=0.99,
    *,
    collapsed=False,
    diverged=False,
    live=None,
    images="d161",
    settings=(),
    selected_on_test=False,
    **names,
):
    """A record; names: dataset, model, recipe, protocol, precision. accuracy: the one shown."""
    names = {
        "dataset": "cifar10", "model": "ResNet34", "recipe": "cifar10_resnet34",
        "protocol": "paper", "precision": "bf16",
    } | names  # fmt: skip
    lines = {"Method.name": repr(method), "ERK.sparsity": repr(sparsity), **SETTINGS}
    lines |= {f"Run.{name}": repr(value) for name, value in names.items()}
    lines |= {"Run.model": f"@{names['model']}", "Run.seed": str(seed)} | dict(settings)
    text = "".join(f"{name} = {value}\n" for name, value in sorted(lines.items()))
    live = live_total(sparsity, PRUNABLE) if live is None else live
    measured = 1 - live / PRUNABLE
    made = records.new(
        method=method, seed=seed, **names,
        sparsity={"asked": sparsity, "measured": measured, "effective": None},
        config={"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()},
        provenance={
            "versions": {"torch": "2.15.0"}, "device": "cpu", "commit": "c09d0e42" * 5,
            "dirty": False, "command": ["dstbench", "run"], "started": 1.0, "attempt": "a" * 32,
            "train_seconds": 60.0, "dataset_sha256": images,
        },
    )  # fmt: skip
    if diverged:
        return made | {"status": "diverged", "error": "the loss is NaN"}
    return made | {
        "status": "finished",
        "accuracy": {
            "test_final": accuracy, "test_at_best_val": accuracy, "best_val": accuracy,
            "best_epoch": 3, "val_final": accuracy, "selected_on_test": selected_on_test,
            "shown": "test_final" if names["protocol"] == "strict" else "test_at_best_val",
        },
        "cost": {
            "macs": 1000, "dense_macs": 100_000, "live_weights": live, "prunable_weights": PRUNABLE,
        },
        "health": {"collapsed": collapsed, "live_path_share": 1.0},
    }  # fmt: skip


def name_of(record):
    return run_name(
        record["method"], record["dataset"], record["model"], record["sparsity"]["asked"],
        record["seed"], record["config"]["sha256"],
    )  # fmt: skip


def write(out: Path, *records_, name=None) -> list[str]:
    """Put records into a leaderboard's folder; their names."""
    folder = out / "records"
    folder.mkdir(parents=True, exist_ok=True)
    names = [name or name_of(one) for one in records_]
    for one, stem in zip(records_, names, strict=True):
        records.write(folder / f"{stem}.json", one)
    return names


def run_folder(runs: Path, record, epochs=2) -> Path:
    """A run's own folder with this record and some curves."""
    folder = runs / name_of(record)
    folder.mkdir(parents=True)
    records.write(folder / "record.json", record)
    lines = [
        {
            "epoch": epoch, "step": epoch, "time": 1.0, "sparsity": 0.99, "grad_norm_live": 1 / 3,
            "live_path_share": None, "positive_preactivations": 0.5, "val_accuracy": 50.0,
            "layers_positive": {"act1": 0.1 * epoch, "act2": 0.25},
            "layers_live": {"conv.weight": 9},
        }
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


GRID = """\
Table.title = 'A | table'
Table.sections = [@Section()]
Section.methods = ['set', 'rigl', 'east']
Section.recipes = ['cifar10_resnet34']
Section.sparsities = [0.99, 0.999]
Section.protocol = 'paper'
"""
