"""The parser of the command line: all commands, what each is for, and where its options are."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from dstbench import __version__
from dstbench.cli.options import preparation, results, training
from dstbench.errors import nearest
from dstbench.utils.printable import harmless


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, which names the command that it was made in."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse what is unknown, which argparse leaves to the parser above."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            kind = "no such option" if word.startswith("-") else "unexpected argument"
            self.error(f"{kind}: {word}.{nearest(word, self._option_string_actions)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, harmless(f"{self.prog}: {message}\nTry: {self.prog} --help\n"))


def parser() -> argparse.ArgumentParser:
    """Return the parser; the parsed arguments have the command's name in `command`."""
    top = _Parser(
        prog="dstbench",
        description="Train and compare sparse networks.",
        epilog="Try: dstbench run methods/rigl.gin",
    )
    top.add_argument("--version", action="version", version=f"dstbench {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, (add_options, help, description) in _COMMANDS.items():
        add_options(commands.add_parser(name, help=help, description=description or f"{help}."))
    return top


# fmt: off
# name → (adds its options, help, description if not the help)
_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "run": (training.run_options, "train a network and record the run", (
        "Train a network and record the run. If it was interrupted, it resumes from its last "
        "checkpoint; if it is done, its result is shown. Bindings are applied in this order: the "
        "method's file, the recipe, further files, --sparsity and the like, --set, --epochs and "
        "the like; later ones win.")),
    "cost": (training.cost_options, "count the cost of a method's network, without training", (
        "Count the MACs, weights and bytes of a run's final network, without training it and "
        "without reading images. Takes the options of run that define a run.")),
    "list": (preparation.list_options, "list methods, parts, recipes, datasets and models", ""),
    "doctor": (preparation.doctor_options, "check versions, device, data and MLflow store", ""),
    "data": (preparation.data_options, "fetch or prepare a dataset", ""),
    "sync": (results.sync_options, "send recorded runs to MLflow, where they are missing", ""),
    "plot": (results.plot_options, "draw figures of runs, as PNG and SVG", ""),
    "new": (preparation.new_options, "create files for a new method: class, gin file, test", ""),
    "check": (preparation.check_options, "run the conformance suite on a method or a model", ""),
    "sweep": (training.sweep_options, "run a grid of runs, except those that are done", (
        "Run the missing runs of a grid, resume interrupted ones, and retry those that died. One "
        "failure stops no other run. Run the same command again to resume.")),
    "compare": (training.compare_options, "find out whether one of two methods is ahead", (
        "Train two methods on the same seeds, 0, 1, 2, …, until a test that may be looked at after "
        "every pair tells them apart. Finished runs are reused; run the same command again to "
        "resume. With two finished runs instead: compare their predictions of the test images.")),
    "leaderboard": (results.leaderboard_options, "render tables, figures and a page from records", (
        "Collect finished records, and render tables, figures and the page from them.")),
    "validate": (results.validate_options, "check records before they are submitted", ""),
    "verify": (results.verify_options, "recompute records from their networks and predictions", (
        "Rebuild the network of each record, and compare its counts, and the accuracy of its "
        "predictions; where the test images are available, also the predictions. Methods of the "
        "suite only; nothing in a record is executed.")),
    "measure": (results.measure_options, "measure latency and throughput of a trained network", (
        "Measure the latency of a trained network in every form that can run it. The forms take "
        "turns; medians are printed.")),
    "deploy": (results.deploy_options, "compile a trained network to a small and fast program", (
        "Compile a trained network: fold batch norms, remove dead channels, and write a program "
        "for numpy or numba, the sparse weights, ONNX, and a model card.")),
}
