"""docs/settings.md: every setting of every registered class, made from their docstrings.

`dstbench list --settings` prints it.
"""

import importlib
from pathlib import Path

from dstbench.config import plugins
from dstbench.config.reference import settings, sources, summary
from dstbench.config.registry import lookup, names
from dstbench.config.shipped_files import shipped

_GROUPS = {
    "run": ("The run", ""),
    "parts": (
        "Parts of methods",
        "A method is a list of parts: `Method.parts = [@ERK(), @RigL()]`. They run in this order.",
    ),
    "activations": (
        "Activations",
        "They take ReLU's place early in a run: `ActivationPhasing.activation = @PReLU()`",
    ),
    "optimizers": ("Optimizers", "`Run.optimizer = @SGD()`"),
    "schedules": (
        "Schedules",
        "Functions of progress, from 0 to 1, for the learning rate and the drop fraction: "
        "`Run.lr_schedule = @Cosine()`",
    ),
    "pipelines": ("Pipelines", "`Run.pipeline = @Pipeline()`"),
    "models": (
        "Models",
        "`Run.model = @ResNet34`; the run supplies the number of classes and the shape of images.",
    ),
    "tables": ("Grids", "See [sweeps](sweeps.md)."),
}


def load_classes(files: list[Path]) -> None:
    """Register the suite's classes, those of installed packages and those of plugins."""
    importlib.import_module("dstbench.training.configure")
    importlib.import_module("dstbench.config.grid")
    for name in shipped("methods", ".py"):
        importlib.import_module(f"dstbench.methods.{name}")
    plugins.load(files)


def settings_page() -> str:
    """Return the page as markdown. The classes have to be registered."""
    lines = [
        "# Settings",
        "",
        "Every class that a gin file may name, with what can be set: by "
        "`--set RigL.drop_fraction=0.3`,",
        'or `dstbench.run("rigl", set={"RigL.drop_fraction": 0.3})`. `dstbench list RigL` prints '
        "the settings",
        "of one class. This page is made from the code by `dstbench list --settings`.",
    ]
    for group, (title, text) in _GROUPS.items():
        lines += ["", f"## {title}", *(("", text) if text else ())]
        for name in names(group):
            cls = lookup(name)
            if cls.__module__.partition(".")[0] == "dstbench":
                lines += _class_lines(cls)
    return "\n".join(lines) + "\n"


def _class_lines(cls: type) -> list[str]:
    lines = ["", f"### {cls.__name__}", "", summary(cls)]
    found = settings(cls)
    if found:
        lines += ["", "| setting | type | default | meaning |", "|---|---|---|---|"]
        for one in found:
            cells = (f"`{one.name}`", _code(one.type), _code(one.default), one.text)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if source := sources(cls):
        lines += ["", f"Source: {source}"]
    return lines


def _code(text: str) -> str:
    return f"`{text}`" if text and text != "required" else text
