"""Planned runs: their command line, identity and stage."""

from pathlib import Path

import pytest
from helpers.example_run import ExampleRun
from helpers.planned_runs import job_of, run_of

from dstbench.cli.arguments import choices_from
from dstbench.cli.parser import parser
from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.sweeps.plan import RunOptions, pin_precision, plan_run, unique_runs
from dstbench.training.configure import assemble

CHOICES = Choices(("methods/rigl.gin",), "digits", (("sparsity", 0.9), ("seed", 3)))


def assembled(arguments, precision):
    """Return the identity of the run that a command line defines."""
    return assemble(choices_from(parser().parse_args(arguments))[0], precision)[1]


def test_plan_run_arguments_define_the_planned_configuration(tmp_path):
    options = RunOptions(tmp_path / "runs", "cpu", Path("my data"), None, "off")
    run = plan_run(job_of(choices=CHOICES), (), options, "fp32")
    args = parser().parse_args(run.arguments)
    assert (args.runs, args.device, args.data_root) == (tmp_path / "runs", "cpu", Path("my data"))
    assert (args.cache, args.tracking) == (None, "off")
    assert assembled(run.arguments, "fp32").sha256 == run.sha256
    assert run.folder.parent == tmp_path / "runs" and run.sha256[:8] in run.name


def test_pin_precision_keeps_the_identity_on_machines_of_another_default(tmp_path):
    axes = (("dataset", "digits"), ("sparsity", 0.9), ("seed", 3))
    choices = Choices(("methods/rigl.gin",), "images", axes)  # a recipe without a precision
    job = job_of(choices=choices, recipe="images")
    run = plan_run(job, (), RunOptions(tmp_path), "bf16")
    assert assembled(run.arguments, "fp32").sha256 != run.sha256
    assert assembled(pin_precision(run).arguments, "fp32").sha256 == run.sha256


@pytest.mark.parametrize("binding", ["precision = 'bf16'", "Run.precision = 'bf16'"])
def test_a_precision_of_the_grid_is_not_pinned_again(tmp_path, binding):
    axes = (("dataset", "digits"), ("sparsity", 0.9), ("seed", 3))
    choices = Choices(("methods/rigl.gin",), "images", axes, (binding,))
    run = plan_run(job_of(choices=choices, recipe="images"), (), RunOptions(tmp_path), "fp32")
    assert assembled(pin_precision(run).arguments, "fp32").sha256 == run.sha256


def test_plan_run_takes_a_dataset_folder_apart(tmp_path):
    (tmp_path / "mine").mkdir()
    choices = Choices(CHOICES.files, "digits", (*CHOICES.axes, ("dataset", f"{tmp_path}/mine")))
    job = job_of(choices=choices, dataset="mine")
    run = plan_run(job, (), RunOptions(tmp_path), "fp32")
    assert "Run.dataset = 'mine'" in run.text and f"{tmp_path}/mine" in run.arguments
    with pytest.raises(UserError, match="Remove --data-root"):
        plan_run(job, (), RunOptions(tmp_path, data_root=tmp_path), "fp32")


def test_plan_run_refuses_a_run_that_differs_from_its_listing(tmp_path):
    with pytest.raises(UserError, match="its seed would be 3, but the grid lists it as 4"):
        plan_run(job_of(choices=CHOICES, seed=4), (), RunOptions(tmp_path), "fp32")


def test_stage_ignores_a_record_of_another_configuration(tmp_path):
    ExampleRun(tmp_path / "one").status("finished")
    assert run_of(tmp_path, "one", sha256="c0ffee").stage() == "finished"
    assert run_of(tmp_path, "one", sha256="decade").stage() != "finished"


def test_unique_runs_keeps_the_first_of_each_configuration(tmp_path):
    runs = [run_of(tmp_path, n, sha256=s) for n, s in (("a", "1"), ("b", "2"), ("c", "1"))]
    assert [run.name for run in unique_runs(runs)] == ["a", "b"]


def test_engine_of_a_sweep_is_an_argument_of_each_run():
    assert RunOptions(Path("runs")).arguments == ("--runs", "runs", "--device", "auto")
    assert RunOptions(Path("runs"), engine="native").arguments[-2:] == ("--engine", "native")


def test_address_of_a_store_is_in_no_argument():
    address = "http://me:secret@host"
    options = RunOptions(Path("runs"), tracking=address)
    assert options.environment == {"MLFLOW_TRACKING_URI": address}
    assert "secret" not in " ".join(options.arguments)
    off = RunOptions(Path("runs"), tracking="off")
    assert off.arguments[-2:] == ("--tracking", "off") and not off.environment


def test_an_unknown_engine_is_refused_before_a_run_starts():
    with pytest.raises(UserError, match="engine = 'foo': expected one of auto, torch, native"):
        RunOptions(Path("runs"), engine="foo")
