"""Choices and their command line."""

from pathlib import Path

from dstbench.cli.arguments import choices_from
from dstbench.cli.parser import parser
from dstbench.config import grid
from dstbench.config.choices import Choices


def parsed(choices):
    return choices_from(parser().parse_args(["run", *choices.arguments]))[0]


def test_arguments_parse_to_the_same_choices():
    choices = Choices(
        files=("methods/rigl.gin", "further.gin"),
        recipe="digits",
        axes=(("sparsity", 0.9995), ("seed", 3), ("dataset", "digits"), ("protocol", "paper")),
        sets=("RigL.drop_fraction = 0.2", "Run.epochs=2"),
        plugins=(Path("mine.py"),),
    )
    assert parsed(choices) == choices
    assert parsed(Choices(("methods/rigl.gin",))) == Choices(("methods/rigl.gin",))


def test_arguments_of_a_job_parse_to_its_choices():
    for job in grid.read("table1").jobs[:3]:
        found = parsed(job.choices)
        assert dict(found.axes) == dict(job.choices.axes)
        assert (found.files, found.recipe) == (job.choices.files, job.choices.recipe)
