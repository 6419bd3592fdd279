"""A grid becomes runs, each under the name its record will have; mistakes name file and line."""

import subprocess
import sys

import pytest

from dstbench.cli.arguments import choices_from
from dstbench.cli.parser import parser
from dstbench.config import grid
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.training.configure import assemble

TABLES = shipped("gin/tables")


def written(folder, *lines):
    """A grid of one section; lines may set more of it."""
    path = folder / "grid.gin"
    usual = {
        "Table.title": "'A'",
        "Table.sections": "[@Section()]",
        "Section.methods": "['rigl']",
        "Section.recipes": "['digits']",
    }
    given = dict(line.split(" = ", 1) for line in lines)
    path.write_text("".join(f"{k} = {v}\n" for k, v in (usual | given).items()))
    return path


def meant(job):
    choices, _ = choices_from(parser().parse_args(["run", *job.arguments]))
    return assemble(choices, "fp32")


@pytest.mark.parametrize("name", TABLES)
def test_records_will_say_what_the_jobs_of_a_shipped_table_say(name):
    table = grid.read(name)
    names, identities = set(), set()
    for job in table.jobs:
        if job.seed != 0:
            continue
        run, resolved = meant(job)
        assert run.method.name == job.method and run.model.__name__ == job.model
        assert (run.dataset, run.seed, run.protocol, run.recipe) == (
            job.dataset, job.seed, job.protocol, job.recipe
        )  # fmt: skip
        assert run.method.sparsity == (job.sparsity or 0)
        names.add((job.method, job.dataset, job.model, job.sparsity))
        identities.add(resolved.sha256)
    assert len(names) == len(identities)  # no two runs of one cell


def test_table_1_is_every_cell_of_the_paper_three_times():
    jobs = grid.read("table1").jobs
    assert len(jobs) == 6 * 2 * 2 * 4 * 3
    cells = {(job.method, job.dataset, job.model, job.sparsity) for job in jobs}
    assert len(cells) == 6 * 2 * 2 * 4
    assert {job.method for job in jobs} == {
        "SynFlow", "SET", "RigL", "EAST", "DCTpS+RigL", "DCTpS+RigL+EAST"
    }  # fmt: skip


def test_tables_share_their_runs():
    """What Tables 1, 2 and 4 have in common is run once."""
    one = {job.arguments for job in grid.read("table1").jobs}
    east = [job.arguments for job in grid.read("table2").jobs if job.method == "EAST"]
    rigl = [job.arguments for job in grid.read("table4").jobs if job.method == "RigL"]
    assert len(east) == 2 and len(rigl) == 12 and {*east, *rigl} <= one


def test_axes_multiply_and_a_seed_comes_whole_before_the_next(tmp_path):
    path = written(
        tmp_path, "Section.methods = ['set', 'rigl']", "Section.sparsities = [0.5, 0.9]",
        "Section.models = ['ResNet20', 'ResNet34']", "Section.seeds = [3, 4]",
    )  # fmt: skip
    jobs = grid.read(path).jobs
    assert len(jobs) == 2 * 2 * 2 * 2 and [job.seed for job in jobs] == 8 * [3] + 8 * [4]
    assert len({job.arguments for job in jobs}) == 16
    run, _ = meant(jobs[-1])
    assert (run.method.name, run.method.sparsity, run.model.__name__) == ("RigL", 0.9, "ResNet34")


def test_a_method_without_sparsity_is_one_run_whatever_the_sparsities(tmp_path):
    path = written(
        tmp_path, "Section.methods = ['dense']", "Section.sparsities = [0.5, 0.9]",
        "Section.seeds = [0]",
    )  # fmt: skip
    (job,) = grid.read(path).jobs
    assert job.sparsity is None and "--sparsity" not in job.arguments
    assert meant(job)[0].method.name == "Dense"


def test_what_the_grid_leaves_open_is_the_recipes(tmp_path):
    job = grid.read(written(tmp_path)).jobs[0]
    assert (job.dataset, job.model, job.sparsity, job.protocol) == (
        "digits", "ResNet20", 0.9, "strict"
    )  # fmt: skip


def test_bindings_are_for_all_runs_and_may_name_the_method(tmp_path):
    path = written(tmp_path, "Section.bindings = [\"Method.name = 'Mine'\", 'Run.epochs = 2']")
    job = grid.read(path).jobs[0]
    run, _ = meant(job)
    assert job.method == run.method.name == "Mine" and run.epochs == 2


def test_bindings_may_name_the_recipe_as_a_variant_of_it(tmp_path):
    path = written(tmp_path, "Section.bindings = [\"Run.recipe = 'short'\", 'Run.epochs = 2']")
    job = grid.read(path).jobs[0]
    run, _ = meant(job)
    assert job.recipe == run.recipe == "short"


def test_files_beside_the_grid_are_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "mine.gin").write_text("include 'methods/set.gin'\nMethod.name = 'Mine'\n")
    (tmp_path / "set.gin").write_text((shipped("methods")["set"]).read_text())
    (tmp_path / "mine.gin").write_text("include 'set.gin'\nMethod.name = 'Mine'\n")
    (tmp_path / "short.gin").write_text("include 'recipes/digits.gin'\nRun.epochs = 2\n")
    lines = ("Section.methods = ['mine.gin']", "Section.recipes = ['short.gin']")
    path = written(tmp_path, *lines)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    job = grid.read(path).jobs[0]
    run, _ = meant(job)
    assert (job.method, job.file, job.recipe) == ("Mine", "mine", "short")
    assert run.method.name == "Mine" and run.epochs == 2 and run.recipe == "short"


def test_reading_a_grid_imports_no_torch():
    code = (
        "import sys; from dstbench.config import grid; "
        "grid.read('table1'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Section.methods = ['rgil']", ("grid.gin:3", "rgil", "Did you mean 'rigl'")),
        ("Section.recipes = ['digit']", ("grid.gin:4", "no recipe 'digit'", "digits")),
        ("Section.methods = []", ("grid.gin:3", "is empty")),
        ("Section.sparsities = [1.0]", ("grid.gin:5", "1.0", "below 1")),
        ("Section.sparsities = ['much']", ("grid.gin:5", "expected")),
        ("Section.seeds = [-1]", ("grid.gin:5", "zero or more")),
        ("Section.bindings = ['Run.epochs']", ("grid.gin:5", "NAME = VALUE")),
        ("Section.sparsity = [0.5]", ("grid.gin:5", "no parameter 'sparsity'", "sparsities")),
        ("Table.kind = 'speed'", ("grid.gin:5", "speed")),
        ("other/Section.seeds = [0]", ("grid.gin:5", "this table has no Section in a scope")),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(tmp_path, line, words):
    with pytest.raises(UserError) as told:
        grid.read(written(tmp_path, line))
    for word in words:
        assert word in told.value.message


def test_a_mistake_in_one_of_two_sections_names_that_ones_line(tmp_path):
    path = written(tmp_path, "Table.sections = [@a/Section(), @b/Section()]",
                   "a/Section.seeds = [0]", "b/Section.seeds = [-1]")  # fmt: skip
    with pytest.raises(UserError, match=r"grid\.gin:6: b/Section\.seeds"):
        grid.read(path)


def test_a_method_that_does_not_say_its_name_is_told_how_to(tmp_path):
    text = shipped("methods")["east"].read_text().replace("EAST.name = 'EAST'\n", "")
    (tmp_path / "nameless.gin").write_text(text)
    with pytest.raises(UserError, match=r"nameless\.gin: does not say what the method is called"):
        grid.read(written(tmp_path, "Section.methods = ['nameless.gin']"))


def test_an_unknown_grid_is_told_with_the_known_ones():
    with pytest.raises(UserError, match=r"tabel1: no such grid\. Did you mean 'table1'"):
        grid.read("tabel1")
