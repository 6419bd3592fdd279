"""The batch script, run by bash with small programs in place of srun and scontrol."""

import os
import subprocess
import sys

import pytest
from helpers.planned_runs import run_of

from dstbench.errors import UserError
from dstbench.sweeps.launchers.slurm_script import batch_script


@pytest.fixture
def submit(tmp_path, monkeypatch):
    """Return a function that runs a task of a script: (exit code, what was called)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()

    def run(script, task, code=0):
        programs = {"srun": f'echo "$@" >> said; exit {code}', "scontrol": 'echo "$@" >> said'}
        for name, text in programs.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        (tmp_path / "said").unlink(missing_ok=True)
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": str(task),
        }
        done = subprocess.run(["bash", "-c", script], env=environment)
        return done.returncode, (tmp_path / "said").read_text().splitlines()

    return run


def runs(folder):
    return [run_of(folder, name) for name in ("one", "it's two")]


def test_each_task_starts_its_run_with_its_arguments(submit, tmp_path):
    script = batch_script(runs(tmp_path), {}, threads=None, workers=None)
    start = f"{sys.executable} -P -m dstbench run"
    assert submit(script, 0) == (0, [f"{start} one --threads 1"])
    assert submit(script, 1) == (0, [f"{start} it's two --threads 1"])


@pytest.mark.parametrize(("code", "requeued"), [(143, True), (140, True), (1, False), (2, False)])
def test_task_whose_run_saved_is_queued_again(submit, tmp_path, code, requeued):
    script = batch_script(runs(tmp_path), {}, threads=None, workers=None)
    found, said = submit(script, 1, code)
    assert found == code and said[1:] == (["requeue 7_1"] if requeued else [])


def test_script_has_the_options_of_sbatch(tmp_path):
    options = {"slurm_partition": "gpu", "timeout_min": 240, "gpus_per_node": 1, "mem_gb": 8}
    options |= {"slurm_exclusive": True}
    lines = batch_script(runs(tmp_path), options, threads=4, workers=10).splitlines()
    for option in (
        "array=0-1%10",
        "partition=gpu",
        "time=240",
        "gpus-per-node=1",
        "mem=8G",
        "cpus-per-task=4",
        "signal=USR2@90",
        "exclusive",
    ):
        assert f"#SBATCH --{option}" in lines


def test_script_refuses_an_unknown_option_and_an_empty_list(tmp_path):
    with pytest.raises(UserError, match="--launch partition: a batch script takes"):
        batch_script(runs(tmp_path), {"partition": "gpu"}, None, None)
    with pytest.raises(UserError, match="nothing to submit"):
        batch_script([], {}, None, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_min": "abc"}, "timeout_min=abc: must be a number above zero"),
        ({"timeout_min": -1}, "must be a number above zero"),
        ({"mem_gb": ""}, "must be a number above zero"),
        ({"gpus_per_node": "x"}, "must be a number above zero"),
        ({"timeout_min": 1}, "slurm_signal_delay_s=90: must be below the limit, 60 s"),
    ],
)
def test_script_refuses_numbers_that_are_none(tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        batch_script(runs(tmp_path), options, None, None)
