"""The board and its markdown, parsed back: cells, marks, links, the paper's numbers."""

import re
import subprocess
import sys
from urllib.parse import unquote

import pytest
from helpers.lab import GRID, list_runs, write_records
from helpers.record_factory import make_record, name_of
from hypothesis import given
from hypothesis import strategies as st

from dstbench.boards.build_board import build_board
from dstbench.boards.markdown import overview, table_file
from dstbench.boards.markdown.text import escape, table
from dstbench.config import grid


@pytest.fixture
def out(tmp_path):
    (tmp_path / "mine.gin").write_text(GRID)
    return tmp_path


def board(out, text=None, **options):
    path = out / "mine.gin"
    if text is not None:
        path.write_text(text)
    list_runs(out, path)
    return build_board(out, [grid.read(path)], **options)


def rows(markdown):
    """Every row of every table: its cells, unescaped."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in cells] for cells in split if not cells[0].startswith(":-")]


def cell(markdown, method, heading):
    header = rows(markdown)[0]
    (row,) = [row for row in rows(markdown) if row[0] == escape(method)]
    return row[header.index(heading)]


def rendered(out, **options):
    (shown,) = board(out, **options).tables
    return table_file.render(shown)


def test_table_cell_shows_mean_std_records_and_the_papers_number(out):
    made = [make_record("RigL", seed, 92.5 + seed / 10) for seed in (0, 1, 2)]
    write_records(out, *made)
    text = cell(rendered(out), "RigL", "99 %")
    assert text.startswith("92.60 ± 0.10<br>n = 3, seeds ")
    assert text.endswith("<br>paper 92.92 ± 0.18 (−0.32)")
    links = re.findall(r"\[(\d)\]\((.+?)\)", text)
    assert [unquote(path) for _, path in links] == [f"records/{name_of(one)}.json" for one in made]
    assert all((out / unquote(path)).is_file() for _, path in links)


def test_table_cell_without_results_shows_a_dash_and_the_papers_number(out):
    assert cell(rendered(out), "EAST", "99.9 %") == "–<br>paper 86.99 ± 0.32"


def test_best_cell_is_bold_and_starred_only_when_significant(out):
    write_records(out, *(make_record("RigL", s, 90.0 + s / 10) for s in range(3)))
    write_records(out, *(make_record("SET", s, 80.0 + s / 10) for s in range(3)))
    write_records(out, make_record("RigL", 0, 90.0, 0.999), make_record("SET", 0, 80.0, 0.999))
    text = rendered(out)
    assert cell(text, "RigL", "99 %").startswith(r"**90.10 ± 0.10** \*<br>")
    assert cell(text, "RigL", "99.9 %").startswith("**90.00**<br>seed ")
    assert "**" not in cell(text, "SET", "99 %")


def test_table_marks_collapsed_and_diverged_runs(out):
    write_records(
        out,
        make_record("SET", 0, 10.0, collapsed=True),
        make_record("SET", 1, 10.0, collapsed=True),
    )
    write_records(out, make_record("RigL", 0, 10.0, collapsed=True), make_record("RigL", 1, 70.0))
    write_records(out, make_record("EAST", 0, status="diverged"), make_record("EAST", 1, 95.0))
    write_records(out, make_record("EAST", 0, 0.0, 0.999, status="diverged"))
    text = rendered(out)
    assert cell(text, "SET", "99 %").startswith("10.00 ± 0.00 †<br>n = 2")
    assert cell(text, "RigL", "99 %").startswith("**40.00 ± 42.43** † 1 of 2<br>")
    assert cell(text, "EAST", "99 %").startswith("95.00 ‡ 1 of 2<br>n = 1, seeds [0]")
    assert cell(text, "EAST", "99.9 %").startswith("– ‡<br>")


def test_table_shows_every_seeds_accuracy_and_the_mean_without_collapsed_runs(out):
    values = ((0, 60.0), (1, 62.0), (2, 10.0))
    write_records(out, *(make_record("RigL", s, v, collapsed=v == 10.0) for s, v in values))
    write_records(out, *(make_record("SET", s, 60.0 + 3 * s) for s in range(3)))
    text = cell(rendered(out), "RigL", "99 %")
    shown = re.sub(r"\(records.*?\)", "", text)
    assert "n = 3, seeds [0] 60.00 · [1] 62.00 · [2] 10.00†<br>" in shown
    assert "without collapsed 61.00 ± 1.41 (n = 2)" in text
    assert "without collapsed" not in cell(rendered(out), "SET", "99 %")


def test_table_shows_groups_and_what_the_seeds_resolve(out):
    for method, mean in (("RigL", 90.0), ("SET", 80.0), ("EAST", 80.2)):
        write_records(out, *(make_record(method, s, mean + s / 10) for s in range(3)))
    text = rendered(out)
    found = {m: cell(text, m, "99 %") for m in ("RigL", "SET", "EAST")}
    groups = {m: re.search(r"<br>group (\w+)", one)[1] for m, one in found.items()}
    assert groups == {"RigL": "a", "SET": "b", "EAST": "b"}
    (row,) = [row for row in rows(text) if row[0] == "smallest difference resolved"]
    assert float(row[rows(text)[0].index("99 %")]) == pytest.approx(0.3, abs=0.05)


def test_each_precision_has_its_own_block(out):
    write_records(out, make_record(accuracy=90.0), make_record(accuracy=50.0, precision="fp32"))
    (shown,) = board(out).tables
    assert [b.columns[0].precision for b in shown.blocks] == ["bf16", "fp32"]
    means = [b.cell("RigL", b.columns[0]).mean for b in shown.blocks]
    assert means == [90.0, 50.0]


def test_sections_are_compared_separately(out):
    text = GRID.replace("[@Section()]", "[@a/Section(), @b/Section()]").replace(
        "Section.methods = ['set', 'rigl', 'east']",
        "a/Section.methods = ['set', 'rigl']\nb/Section.methods = ['east', 'dctps_rigl']",
    )
    write_records(
        out, *(make_record(m, 0, a) for m, a in (("SET", 1.5), ("RigL", 2.5), ("EAST", 99.0)))
    )
    upper, lower = board(out, text).tables[0].blocks
    assert upper.best[upper.columns[0]] == {"RigL"}
    assert lower.best[lower.columns[0]] == frozenset()


def test_paper_number_is_shown_only_for_the_papers_settings(out):
    write_records(out, make_record("RigL", 0, 90.0, settings={"Run.epochs": "2"}))
    write_records(out, make_record("SET", 0, 90.0))
    text = rendered(out)
    assert "paper" not in cell(text, "RigL", "99 %")
    assert "paper 93.09" in cell(text, "SET", "99 %")


def test_tables_beside_the_paper_come_first_and_those_without_results_last(out):
    texts = {
        "empty": GRID.replace("[0.99, 0.999]", "[0.5]"),
        "own": GRID.replace("[0.99, 0.999]", "[0.875]"),  # no sparsity of the paper's
        "paper": GRID,
    }
    write_records(out, make_record("RigL", 0, 90.0), make_record("RigL", 0, 80.0, sparsity=0.875))
    grids = []
    for name, text in texts.items():
        path = out / f"{name}.gin"
        path.write_text(text)
        list_runs(out, path)
        grids.append(grid.read(path))
    assert [table.name for table in build_board(out, grids).tables] == ["paper", "own", "empty"]


def test_another_dataset_has_its_own_block_without_a_paper_number(out):
    write_records(
        out, make_record("RigL", 0, 90.0, dataset="cifar10-jpeg"), make_record("RigL", 0, 91.0)
    )
    made = board(out)
    (other,) = made.others
    assert {c.dataset for c in other.columns} == {"cifar10-jpeg"}
    assert other.cell("RigL", other.columns[0]).paper is None
    assert "cifar10-jpeg" not in table_file.render(made.tables[0])
    assert "cifar10-jpeg" in overview.render(made)


def test_dense_runs_are_in_the_column_of_sparsity_zero(out):
    text = GRID.replace("['set', 'rigl', 'east']", "['dense', 'rigl']")
    write_records(out, make_record("Dense", 0, 95.0, 0.0), make_record("RigL", 0, 90.0))
    (shown,) = board(out, text).tables
    assert cell(table_file.render(shown), "Dense", "0 %").startswith("95.00<br>")
    assert board(out).results[0].key.method == "Dense"


def test_runs_selected_on_test_are_hidden_by_default(out):
    names = {"dataset": "cifar100", "recipe": "cifar100_resnet34", "protocol": "itop_compat"}
    made = make_record("RigL", 0, 90.0, selected_on_test=True, **names)
    write_records(out, made)
    text = GRID.replace("cifar10_", "cifar100_").replace("'paper'", "'itop_compat'")
    (hidden,), (shown,) = (board(out, text, selected_on_test=x).tables for x in (False, True))
    assert "90.00" not in table_file.render(hidden)
    assert name_of(made) in overview.render(board(out, text))
    assert cell(table_file.render(shown), "RigL", "99 %").startswith("90.00 §<br>")


def test_overview_shows_the_lead_and_its_significance(out):
    write_records(out, *(make_record("RigL", s, 90.0 + s / 10) for s in range(3)))
    write_records(out, *(make_record("SET", s, 80.0 + s / 10) for s in range(3)))
    write_records(out, make_record("RigL", 0, 90.0, 0.999), make_record("SET", 0, 80.0, 0.999))
    found = {row[1]: row[2:] for row in rows(overview.render(board(out))) if row[0] == "mine"}
    assert found["99 %"][:3] == ["RigL 90.10", "SET 80.10", "10.00"]
    assert found["99 %"][3].startswith("yes, p = ")
    assert found["99.9 %"][3] == "not tested: one seed"


def test_overview_lists_rejected_records(out):
    (name,) = write_records(out, make_record(live=5))
    text = overview.render(board(out))
    assert "## Rejected records" in text and f"records/{name}.json" in text
    assert "off its budget" in text


@given(st.text(max_size=20))
def test_markdown_table_keeps_its_cells_for_any_text(text):
    made = table(["a", "b"], [[escape(text), "x"], ["y", "z"]])
    assert [len(row) for row in rows(made)] == [2, 2, 2]
    assert rows(made)[1][1] == "x"


def test_markdown_escapes_hostile_names(out):
    name = "a|b <script>*x*[y](z)`"
    write_records(out, make_record(name, 0, 90.0), make_record("RigL", 0, 91.0, recipe=name))
    text = overview.render(board(out))
    assert re.search(r"(?<!\\)<(?!br>| 0\.05)", text) is None
    assert r"a\|b \<script\>\*x\*\[y\](z)\`" in text


def test_rendering_depends_only_on_the_records(out, tmp_path_factory):
    made = [make_record(m, s, 50.0 + s) for m in ("SET", "RigL", "EAST") for s in range(3)]
    write_records(out, *made)
    other = tmp_path_factory.mktemp("other")
    write_records(other, *reversed(made))
    (other / "mine.gin").write_text(GRID)
    assert rendered(out) == rendered(other)
    assert overview.render(board(out)) == overview.render(board(other))


def test_rendering_needs_neither_torch_nor_mlflow(out):
    write_records(out, *(make_record(m, s, 50.0 + s) for m in ("SET", "RigL") for s in range(3)))
    code = (
        "import sys; from pathlib import Path; from dstbench.config import grid\n"
        "from dstbench.cli.commands import leaderboard\n"
        "from dstbench.boards.build_board import build_board\n"
        "from dstbench.boards.write_files import text_files\n"
        f"made = build_board(Path({str(out)!r}), [grid.read({str(out / 'mine.gin')!r})])\n"
        "assert text_files(made) and len(made.results) == 6\n"
        "print([m for m in ('torch', 'mlflow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_table_marks_paper_numbers_in_doubt_and_explains_them(out):
    (out / "mine.gin").write_text(GRID.replace("'set'", "'synflow'"))
    write_records(out, make_record("RigL", 0, 92.5))
    text = rendered(out)
    assert cell(text, "SynFlow", "99 %").endswith("paper 86.03 ± 0.71 ?")
    assert "? in doubt: the row cannot come from SynFlow's published code" in text
    assert not cell(text, "EAST", "99 %").endswith("?")


def test_table_marks_dense_to_sparse_methods(out):
    (out / "mine.gin").write_text(GRID.replace("'set'", "'mest_soft'"))
    write_records(out, make_record("RigL", 0, 92.5), make_record("MEST soft", 0, 92.5))
    text = rendered(out)
    assert "◊" in cell(text, "MEST soft", "99 %") and "◊" not in cell(text, "RigL", "99 %")
    assert "◊ dense to sparse: training had more live weights" in text


def test_cell_shows_its_cost_beside_its_accuracy(out):
    made = [make_record("RigL", seed, 90.0) for seed in (0, 1)]
    for record, trained in zip(made, (150_000, 250_000), strict=True):
        images = 250 * 45_000
        record["cost"] |= {
            "training_flops": trained * images, "dense_training_flops": 600_000 * images,
        }  # fmt: skip
    write_records(out, *made, make_record("SET", 0))
    text = rendered(out)
    assert "<br>MACs 0.0100 ×, training 0.333 ×<br>" in cell(text, "RigL", "99 %")
    assert "<br>MACs 0.0100 ×<br>" in cell(text, "SET", "99 %")
    assert "MACs" not in cell(text, "EAST", "99 %")


@pytest.mark.parametrize(
    "change, name",
    [
        ({"commit": "0" * 40}, "commit"),
        ({"device": "NVIDIA H100"}, "device"),
        ({"engine_steps": {"torch": 2, "native": 87_998}}, "engine"),
        ({"versions": {"torch": "2.16.0"}}, "torch"),
        ({"versions": {"torch": "2.15.0", "numpy": "3"}}, "numpy"),
        ({"packages": {"foreign": {"version": "2", "sha256": "ab"}}}, "plugin foreign"),
    ],
)
def test_cell_whose_seeds_differ_in_origin_says_so(out, change, name):
    made = [make_record("RigL", seed, 90.0) for seed in (0, 1)]
    write_records(out, *made)
    assert "differ" not in cell(rendered(out), "RigL", "99 %")
    made[1]["provenance"] |= change
    write_records(out, made[1])
    assert f"<br>seeds differ in {name}<br>" in cell(rendered(out), "RigL", "99 %")
