"""A made-up board: two settings, three sparsities, three seeds; runs that collapse and diverge."""

import json
import math
from pathlib import Path

from dstbench.leaderboard.board import (
    Block,
    Board,
    Cell,
    Column,
    Comparison,
    Key,
    Refused,
    Result,
    Table,
)
from dstbench.leaderboard.rows import CostRow, Measurement, PaperSpeed, PaperValue

METHODS = {"SET": (93.0, 82.0, 10.0), "RigL": (92.0, 85.0, 20.0), "RigL w/ WS": (92.5, 86.0, 60.0)}
SPARSITIES = (0.99, 0.999, 0.9999)
EPOCHS = 5


def column(dataset="cifar10", sparsity=0.99):
    return Column(dataset, "ResNet34", f"{dataset}_resnet34", "strict", "bf16", sparsity)


def result(method, where, seed, accuracy, **changes):
    given = {
        "name": f"r{abs(hash_of(method, *where, seed))}",
        "key": Key(method, where),
        "seed": seed,
        "diverged": accuracy is None,
        "accuracy": accuracy,
        "top5": None,
        "collapsed": accuracy == 10.0,
        "selected_on_test": False,
        "live": 2127,
        "prunable": 21_265_088,
        "measured": where.sparsity,
        "effective": where.sparsity,
        "macs": 1_466_000,
        "dense_macs": 1_159_400_000,
        "configuration": "",
        "images": None,
        "sha256": "0" * 64,
        "commit": None,
        "device": "cpu",
        "train_seconds": 1.0,
    }
    return Result(**(given | changes))


def hash_of(*parts):
    """The same in every process, unlike hash()."""
    return int.from_bytes(json.dumps(parts).encode(), "big") % 10**12


def results(methods=METHODS, datasets=("cifar10", "cifar100"), changes=lambda key, seed: {}):
    found = []
    for dataset in datasets:
        for method, accuracies in methods.items():
            for sparsity, accuracy in zip(SPARSITIES, accuracies, strict=True):
                where = column(dataset, sparsity)
                for seed in range(3):
                    value = accuracy if accuracy == 10.0 else accuracy + seed / 10
                    given = {"accuracy": value} | changes(Key(method, where), seed)
                    found.append(result(method, where, seed, **given))
    return found


def block(title, rows, columns, found, paper=None, best=None):
    cells = {
        Key(method, where): Cell(
            Key(method, where),
            tuple(r for r in found if r.key == Key(method, where)),
            (paper or {}).get(Key(method, where)),
        )
        for method in rows
        for where in columns
    }
    return Block(title, tuple(rows), tuple(columns), cells, best or {}, {})


def board(folder: Path, found=None, curves=True, rows=tuple(METHODS)):
    """Records and curves are written as well, so that links lead somewhere."""
    found = results() if found is None else found
    datasets = list(dict.fromkeys(r.key.column.dataset for r in found))
    columns = [column(dataset, sparsity) for dataset in datasets for sparsity in SPARSITIES]
    paper = {Key(rows[0], columns[0]): PaperValue(93.09, 0.15, "arXiv:2411.13545, Table 1")}
    accuracies = block("ResNet-34", rows, columns, found, paper, {columns[0]: frozenset({rows[0]})})
    accuracies.comparisons[columns[0]] = Comparison(rows[0], rows[1], 0.001, 0.002, True)
    command = ("dstbench", "cost", "methods/rigl.gin")
    counted = {"macs": 1_466_000, "dense_macs": 1_297_830_000, "stored_weights": 23_467_712}
    tables = (
        Table("table1", "Accuracy", "accuracy", (accuracies,), notes=("The paper says both.",)),
        Table("table2", "Costs", "cost",
              costs=(CostRow("RigL", 0.9995, command, counted, 1.24e6, 23.5e6, "a note"),
                     CostRow("SET", 0.9995, command, None, None, None, None))),
        Table("table3", "Speed", "inference",
              measurements=(Measurement("RigL", 0.9995, "ResNet50", "imagenet", "dense", 2, 10.2,
                                        196.1, "CPU", "measurements/one.json"),),
              paper_speeds=(PaperSpeed("EAST", 6.8, 1638.41, 2, "A100", "Table 3"),)),
    )  # fmt: skip
    for result in found:
        write(folder, result, curves)
    refused = (Refused(("bad.json",), "It misses its sparsity; run it again."),)
    return Board(folder, tables, (), tuple(found), refused)


def write(folder: Path, result: Result, curves=True):
    for name in ("records", "curves"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if curves:
        (folder / "curves" / f"{result.name}.json").write_text(json.dumps(curve(result)))


def curve(result: Result):
    """Of a collapsed run the gradient is zero from the third epoch on; a diverged one stops."""
    epochs = range(1, 3 if result.diverged else EPOCHS + 1)
    dead = [result.collapsed and epoch > 2 for epoch in epochs]
    cyclic = "WS" in result.key.method
    left = 1 - result.key.column.sparsity
    return {
        "epoch": list(epochs),
        "sparsity": [1 - left * (1 + cyclic * math.sin(epoch) ** 2) for epoch in epochs],
        "grad_norm_live": [0.0 if zero else 1.0 / e for zero, e in zip(dead, epochs, strict=True)],
        "live_path_share": [0.0 if zero else 0.9 for zero in dead],
        "positive_preactivations": [0.01 if zero else 0.4 for zero in dead],
        "val_accuracy": [10.0 + epoch for epoch in epochs],
        "layers_positive": {"stem": 0.5, "stages.0": 0.0 if result.collapsed else 0.3},
    }
