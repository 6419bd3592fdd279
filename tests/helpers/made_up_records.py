"""Makes a board: two settings, three sparsities, three seeds; some runs collapse."""

import dataclasses
import json
import math
from pathlib import Path

from dstbench.boards.board import Block, Board, Comparison, RejectedRecords, Table
from dstbench.boards.cells import Cell, Column, Key, Result
from dstbench.boards.read_results import result_from_record
from dstbench.boards.row_types import CostRow, CountedCost, PaperValue, SpeedRow
from helpers.record_factory import make_record

METHODS = {"SET": (93.0, 82.0, 10.0), "RigL": (92.0, 85.0, 20.0), "RigL w/ WS": (92.5, 86.0, 60.0)}
SPARSITIES = (0.99, 0.999, 0.9999)
EPOCHS = 5
APART = ("sparsity", "variant")  # of a column: no names in a record


def column(dataset="cifar10", sparsity=0.99):
    return Column(dataset, "ResNet34", f"{dataset}_resnet34", "strict", "bf16", sparsity)


def result(method, where, seed, accuracy, **changes):
    """Return the result of a run; it diverged if accuracy is None, and collapsed at chance.

    changes: other values of its fields.
    """
    record = make_record(
        method, seed, accuracy, where.sparsity,
        status="diverged" if accuracy is None else "finished", collapsed=accuracy == 10.0,
        **{name: getattr(where, name) for name in where._fields if name not in APART},
    )  # fmt: skip
    made = result_from_record(record, f"r{stable_hash(method, *where, seed)}")
    return dataclasses.replace(made, **changes)


def stable_hash(*parts):
    """Return a number that is the same in every process, unlike hash()."""
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
    """Return a board; its records and curves are written, so that links have a target."""
    found = results() if found is None else found
    datasets = list(dict.fromkeys(r.key.column.dataset for r in found))
    columns = [column(dataset, sparsity) for dataset in datasets for sparsity in SPARSITIES]
    paper = {Key(rows[0], columns[0]): PaperValue(93.09, 0.15, "arXiv:2411.13545, Table 1")}
    accuracies = block("ResNet-34", rows, columns, found, paper, {columns[0]: frozenset({rows[0]})})
    accuracies.comparisons[columns[0]] = Comparison(rows[0], rows[1], 0.001, 0.002, True)
    command = ("dstbench", "cost", "methods/rigl.gin")
    counted = CountedCost(1_466_000, 1_297_830_000, 11_734, 23_467_712, 514_490)
    tables = (
        Table("table1", "Accuracy", "accuracy", (accuracies,), notes=("A note.",)),
        Table("table2", "Costs", "cost",
              costs=(CostRow("RigL", 0.9995, command, counted, 1.24e6, 23.5e6, note="a note"),
                     CostRow("SET", 0.9995))),
        Table("table3", "Speed", "inference",
              measurements=(SpeedRow("RigL", "dense", 2, 10.2, 196.1, "CPU", "ResNet50", "imagenet",
                                     0.9995, "measurements/one.json"),),
              paper_speeds=(SpeedRow("EAST", "Table 3", 2, 6.8, 1638.41, "A100"),)),
    )  # fmt: skip
    for result in found:
        write(folder, result, curves)
    rejected = (RejectedRecords(("bad.json",), "It misses its sparsity; run it again."),)
    return Board(folder, tables, (), tuple(found), rejected)


def write(folder: Path, result: Result, curves=True):
    for name in ("records", "curves"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if curves:
        (folder / "curves" / f"{result.name}.json").write_text(json.dumps(curve(result)))


def curve(result: Result):
    """Return a run's curves; a collapsed one has no gradient from epoch 3, a diverged one ends."""
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
