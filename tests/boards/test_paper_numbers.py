"""The paper's numbers: read from paper.json and looked up for cells."""

from pathlib import Path

import pytest

from dstbench.boards import paper_numbers
from dstbench.boards.build_board import build_board
from dstbench.boards.paper_numbers import read_paper
from dstbench.config import grid
from dstbench.errors import UserError

OWN = Path(__file__).parents[2] / "leaderboard"


def test_paper_has_a_number_for_every_cell_of_the_suites_tables():
    made = build_board(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    for table in made.tables:
        cells = [cell for block in table.blocks for cell in block.cells.values()]
        printed = [cell.paper or read_paper(OWN).value(cell.key) for cell in cells]
        assert cells and all(printed), table.name


def test_paper_numbers_match_the_paper():
    """A few cells of each table, copied from the paper by hand."""
    found = read_paper(OWN)
    made = build_board(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    keys = {
        (k.method, k.column.dataset, k.column.model, k.column.sparsity): k
        for table in made.tables for block in table.blocks for k in block.cells
    }  # fmt: skip
    expected = {
        ("SynFlow", "cifar100", "ResNet34", 0.999): (22.91, 18.98),
        ("RigL", "cifar10", "ResNet50", 0.999): (58.41, 42.03),
        ("EAST", "cifar10", "ResNet50", 0.9999): (49.55, 4.69),
        ("DCTpS+RigL+EAST", "cifar100", "ResNet50", 0.99): (64.92, 1.41),
        ("RigL w/ WS", "cifar10", "ResNet34", 0.9999): (62.94, None),
        ("EAST w/o cycle", "imagenet", "ImageNetResNet50", 0.995): (34.45, None),
    }
    for name, printed in expected.items():
        value = found.value(keys[name])
        assert (value.mean, value.std) == printed
        assert value.source.startswith("arXiv:2411.13545, Table ")


def test_read_paper_is_empty_without_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(paper_numbers, "roots", lambda: [])
    assert read_paper(tmp_path).content == {}


def test_read_paper_names_a_broken_file(tmp_path):
    (tmp_path / "paper.json").write_text("{")
    with pytest.raises(UserError, match=r"paper\.json: cannot be read"):
        read_paper(tmp_path)


def test_paper_numbers_in_doubt_have_a_reason():
    found = read_paper(OWN)
    made = build_board(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    doubted = {
        (key.method, key.column.dataset)
        for table in made.tables for block in table.blocks for key in block.cells
        if found.value(key).doubt
    }  # fmt: skip
    assert doubted == {
        ("SynFlow", "cifar10"), ("SynFlow", "cifar100"), ("SET", "cifar100"), ("RigL", "cifar100"),
        ("RigL w/ WS", "cifar10"),
    }  # fmt: skip
