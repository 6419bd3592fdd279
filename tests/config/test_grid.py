"""Grids: their jobs, what records will call them, and messages with file and line."""

import subprocess
import sys

import pytest

from dstbench.config import grid
from dstbench.config.choices import Choices
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


def assembled(job):
    return assemble(job.choices, "fp32")


@pytest.mark.parametrize("name", TABLES)
def test_jobs_of_shipped_tables_have_the_labels_of_their_runs(name):
    table = grid.read(name)
    names, identities = set(), set()
    for job in table.jobs:
        if job.seed != 0:
            continue
        run, resolved = assembled(job)
        assert run.method.name == job.method and run.model.__name__ == job.model
        for name in ("dataset", "seed", "protocol", "recipe"):
            assert getattr(run, name) == getattr(job, name)
        assert run.method.sparsity == (job.sparsity or 0)
        names.add((job.method, job.dataset, job.model, job.sparsity))
        identities.add(resolved.sha256)
    assert len(names) == len(identities)  # no two runs of one cell


def test_table1_has_every_cell_of_the_paper_three_times():
    jobs = grid.read("table1").jobs
    assert len(jobs) == 6 * 2 * 2 * 4 * 3
    cells = {(job.method, job.dataset, job.model, job.sparsity) for job in jobs}
    assert len(cells) == 6 * 2 * 2 * 4
    methods = {"SynFlow", "SET", "RigL", "EAST", "DCTpS+RigL", "DCTpS+RigL+EAST"}
    assert {job.method for job in jobs} == methods


def test_shipped_tables_have_common_jobs():
    """Runs that are in Tables 1, 2 and 4 are run once."""
    one = {job.choices for job in grid.read("table1").jobs}
    east = [job.choices for job in grid.read("table2").jobs if job.method == "EAST"]
    rigl = [job.choices for job in grid.read("table4").jobs if job.method == "RigL"]
    assert len(east) == 2 and len(rigl) == 12 and {*east, *rigl} <= one


def test_figure6_has_each_method_with_and_without_cycles_on_both_networks():
    jobs = grid.read("figure6").jobs
    methods = {"RigL", "RigL w/ clip", "RigL cyclic", "EAST w/o cycle", "EAST",
               "RigL cyclic triangular", "RigL cyclic growing"}  # fmt: skip
    assert {job.method for job in jobs} == methods and len(jobs) == len(methods) * 2 * 3
    assert {(job.dataset, job.model, job.sparsity) for job in jobs} == {
        ("cifar100", "ResNet34", 0.9995), ("cifar100", "ResNet50", 0.9995),
    }  # fmt: skip
    table1 = {job.choices for job in grid.read("table1").jobs}
    assert {job.choices for job in jobs if job.method in ("RigL", "EAST")} <= table1


def test_expand_multiplies_axes_and_orders_jobs_by_seed(tmp_path):
    path = written(
        tmp_path,
        "Section.methods = ['set', 'rigl']",
        "Section.sparsities = [0.5, 0.9]",
        "Section.models = ['ResNet20', 'ResNet34']",
        "Section.seeds = [3, 4]",
    )
    jobs = grid.read(path).jobs
    assert len(jobs) == 2 * 2 * 2 * 2 and [job.seed for job in jobs] == 8 * [3] + 8 * [4]
    assert len({job.choices for job in jobs}) == 16
    run, _ = assembled(jobs[-1])
    assert (run.method.name, run.method.sparsity, run.model.__name__) == ("RigL", 0.9, "ResNet34")


def test_expand_gives_one_job_for_a_method_without_sparsity(tmp_path):
    lines = ("Section.sparsities = [0.5, 0.9]", "Section.seeds = [0]")
    path = written(tmp_path, "Section.methods = ['dense']", *lines)
    (job,) = grid.read(path).jobs
    assert job.sparsity is None and "--sparsity" not in job.choices.arguments
    assert assembled(job)[0].method.name == "Dense"


def test_expand_takes_missing_axes_from_the_recipe(tmp_path):
    job = grid.read(written(tmp_path)).jobs[0]
    found = (job.dataset, job.model, job.sparsity, job.protocol)
    assert found == ("digits", "ResNet20", 0.9, "strict")


def test_section_bindings_apply_to_all_runs_and_may_rename_the_method(tmp_path):
    path = written(tmp_path, "Section.bindings = [\"Method.name = 'Mine'\", 'Run.epochs = 2']")
    job = grid.read(path).jobs[0]
    run, _ = assembled(job)
    assert job.method == run.method.name == "Mine" and run.epochs == 2


def test_section_bindings_may_rename_the_recipe(tmp_path):
    path = written(tmp_path, "Section.bindings = [\"Run.recipe = 'short'\", 'Run.epochs = 2']")
    job = grid.read(path).jobs[0]
    run, _ = assembled(job)
    assert job.recipe == run.recipe == "short"


def test_vary_makes_a_row_of_each_combination_of_values(tmp_path):
    vary = "{'RigL.drop_fraction': [0.3, 0.5], 'SGD.lr': [0.1]}"
    lines = (f"Section.vary = {vary}", "Section.seeds = [0]", "Section.sparsities = [0.5]")
    jobs = grid.read(written(tmp_path, *lines)).jobs
    assert [job.method for job in jobs] == [
        "RigL (RigL.drop_fraction=0.3 SGD.lr=0.1)",
        "RigL (RigL.drop_fraction=0.5 SGD.lr=0.1)",
    ]
    for job, fraction in zip(jobs, (0.3, 0.5), strict=True):
        run, _ = assembled(job)
        assert run.method.name == job.method
        assert (run.optimizer.lr, run.method.parts[1].drop_fraction) == (0.1, fraction)


def test_vary_takes_gin_text(tmp_path):
    vary = "{'RigL.drop_fraction': ['@Cosine()', 0.3]}"
    path = written(tmp_path, f"Section.vary = {vary}", "Section.seeds = [0]")
    first, second = grid.read(path).jobs
    assert first.method == "RigL (RigL.drop_fraction=@Cosine())"
    assert callable(assembled(first)[0].method.parts[1].drop_fraction)
    assert second.method == "RigL (RigL.drop_fraction=0.3)"


def test_vary_names_methods_of_any_class(tmp_path):
    lines = ("Section.methods = ['east']", "Section.vary = {'WeightSharing.owner': [2, 3]}")
    job = grid.read(written(tmp_path, *lines, "Section.seeds = [0]")).jobs[1]
    assert job.method == assembled(job)[0].method.name == "EAST (WeightSharing.owner=3)"


def test_read_finds_files_beside_the_grid_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "set.gin").write_text((shipped("methods")["set"]).read_text())
    (tmp_path / "mine.gin").write_text("include 'set.gin'\nMethod.name = 'Mine'\n")
    (tmp_path / "short.gin").write_text("include 'recipes/digits.gin'\nRun.epochs = 2\n")
    lines = ("Section.methods = ['mine.gin']", "Section.recipes = ['short.gin']")
    path = written(tmp_path, *lines)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    job = grid.read(path).jobs[0]
    run, _ = assembled(job)
    assert (job.method, job.file, job.recipe) == ("Mine", "mine", "short")
    assert run.method.name == "Mine" and run.epochs == 2 and run.recipe == "short"


def test_read_imports_no_torch():
    code = (
        "import sys; from dstbench.config import grid; grid.read('table1'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_read_includes_follow_the_rules_of_gin_files(tmp_path):
    (tmp_path / "mine.gin").write_text("include 'absent.gin'\n")
    with pytest.raises(UserError, match=r"mine\.gin:1: cannot include 'absent\.gin'"):
        grid.read(written(tmp_path, "Section.methods = ['mine.gin']"))


def test_job_sparsity_is_a_float_as_on_the_command_line(tmp_path):
    job = grid.read(written(tmp_path, "Section.sparsities = [0]", "Section.seeds = [0]")).jobs[0]
    choices = Choices(job.choices.files, "digits", (("sparsity", 0.0), ("seed", 0)))
    assert assembled(job)[1] == assemble(choices, "fp32")[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Section.methods = ['rgil']", ("grid.gin:3", "rgil", "Did you mean 'rigl'")),
        ("Section.recipes = ['digit']", ("grid.gin:4", "no recipe 'digit'", "digits")),
        ("Section.methods = []", ("grid.gin:3", "is empty")),
        ("Section.sparsities = [1.0]", ("grid.gin:5", "1.0", "below 1")),
        ("Section.sparsities = ['much']", ("grid.gin:5", "expected")),
        ("Section.seeds = [-1]", ("grid.gin:5", "zero or more")),
        ("Section.seeds = [0, 1, 0]", ("grid.gin:5", "has 0 twice")),
        ("Section.sparsities = [0.5, 0.50]", ("grid.gin:5", "has 0.5 twice")),
        ("Section.vary = {'SGD.lr': [0.1, 0.1]}", ("grid.gin:5", "'SGD.lr' 0.1 twice")),
        ("Section.bindings = ['Run.epochs']", ("grid.gin:5", "NAME=VALUE")),
        ("Section.vary = {'SGD.lr': 0.1}", ("grid.gin:5", "'SGD.lr'", "a list of values")),
        ("Section.vary = {'SGD.lr': []}", ("grid.gin:5", "'SGD.lr'", "a list of values")),
        ("Section.vary = {'lr': [0.1]}", ("grid.gin:5", "'lr'", "such as 'SGD.lr'")),
        ("Section.vary = {3: [0.1]}", ("grid.gin:5", "has 3", "such as 'SGD.lr'")),
        ("Section.vary = {'Method.name': ['A']}", ("grid.gin:5", "'Method.name'")),
        ("Section.vary = [0.1]", ("grid.gin:5", "expected")),
        ("Section.sparsity = [0.5]", ("grid.gin:5", "no parameter 'sparsity'", "sparsities")),
        ("Table.kind = 'speed'", ("grid.gin:5", "speed")),
        ("other/Section.seeds = [0]", ("grid.gin:5", "this table has no Section in a scope")),
    ],
)
def test_read_reports_mistakes_with_file_and_line(tmp_path, line, words):
    with pytest.raises(UserError) as error:
        grid.read(written(tmp_path, line))
    for word in words:
        assert word in error.value.message


def test_read_reports_the_line_of_the_section_at_fault(tmp_path):
    sections = "Table.sections = [@a/Section(), @b/Section()]"
    path = written(tmp_path, sections, "a/Section.seeds = [0]", "b/Section.seeds = [-1]")
    with pytest.raises(UserError, match=r"grid\.gin:6: b/Section\.seeds"):
        grid.read(path)


def test_read_refuses_a_method_without_a_name(tmp_path):
    text = shipped("methods")["east"].read_text().replace("EAST.name = 'EAST'\n", "")
    (tmp_path / "nameless.gin").write_text(text)
    with pytest.raises(UserError, match=r"nameless\.gin: the method has no name"):
        grid.read(written(tmp_path, "Section.methods = ['nameless.gin']"))


def test_read_refuses_a_macro_that_is_defined_by_itself(tmp_path):
    text = (
        shipped("methods")["rigl"].read_text().replace("Method.name = 'RigL'", "Method.name = %n")
    )
    (tmp_path / "circle.gin").write_text(f"{text}n = %n\n")
    with pytest.raises(UserError, match=r"circle\.gin:\d+: %n is defined by itself"):
        grid.read(written(tmp_path, "Section.methods = ['circle.gin']"))


def test_read_suggests_the_nearest_grid():
    with pytest.raises(UserError, match=r"tabel1: no such grid\. Did you mean 'table1'"):
        grid.read("tabel1")


def test_a_file_that_is_no_grid_is_named(tmp_path):
    path = tmp_path / "empty.gin"
    path.write_text("")
    with pytest.raises(UserError, match=r"empty\.gin: Table\.title is not set.*A grid sets Table"):
        grid.read(path)
