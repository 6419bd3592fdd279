"""Parsed arguments → the choices of a run, for every command that takes a run's options."""

import argparse
from pathlib import Path

from dstbench.config.choices import Choices
from dstbench.training.given_choices import choices_of


def choices_from(args: argparse.Namespace) -> tuple[Choices, Path | None]:
    """Return the choices and the data root.

    Raises UserError for a dataset folder that does not exist, and a start that is no network.
    """
    given = vars(args)
    return choices_of(
        given,
        files=tuple(args.files),
        sets=tuple(args.sets),
        plugins=tuple(args.plugins),
        data_root=given.get("data_root"),  # not an option of commands that read no data
    )
