"""`dstbench doctor`: checks versions, device, folders, datasets and the MLflow store."""

import argparse
import importlib.metadata
import platform
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dstbench import __version__
from dstbench.recording.provenance import PACKAGES, package_version

EXTRAS = {  # package → what needs it, and the extra that installs it
    "numba": ("native engine, deployment", "native"),
    "matplotlib": ("figures", "plots"),
    "onnx": ("ONNX files", "onnx"),
    "onnxruntime": ("ONNX files", "onnx"),
    "ray": ("sweeps on Ray", "ray"),
    "submitit": ("sweeps on Slurm", "slurm"),
}

Row = tuple[str, bool, str]  # name, whether it works, text


def main(args: argparse.Namespace) -> int:
    rows = [("dstbench", True, f"{__version__}, in {Path(__file__).parents[2]}")]
    rows += [("python", True, f"{platform.python_version()}, {platform.platform()}")]
    rows += [_commit(), *_packages(), *_extras(), *_devices(args)]
    rows += [*_folders(args), *_data(args), _store(args)]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, fine, text in rows:
        table.add_row("ok" if fine else "[bold]--[/bold]", name, text)
    Console(highlight=False, soft_wrap=True).print(table)
    return 0 if all(fine for name, fine, _ in rows if not name.startswith("dataset")) else 1


def _packages() -> list[Row]:
    rows: list[Row] = []
    for name in PACKAGES:
        try:
            rows.append((name, True, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append((name, False, f"not installed: pip install {name}"))
    return rows


def _extras() -> list[Row]:
    """Return the optional packages; one that is missing is no fault."""
    rows: list[Row] = []
    for name, (needed_for, extra) in EXTRAS.items():
        try:
            text = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            text = f"not installed; for {needed_for}: pip install 'dstbench[{extra}]'"
        rows.append((name, True, text))
    return rows


def _commit() -> Row:
    """Return whether records made here could be published: they name their commit."""
    commit, dirty = package_version()
    if commit is None:
        text = "none known, so records cannot be published: install from a git checkout"
    else:
        text = commit[:12] + (", with changes, so records cannot be published" if dirty else "")
    return ("commit", True, text)


def _devices(args: argparse.Namespace) -> list[Row]:
    try:
        import torch
        import torchvision  # noqa: F401  (fails if its build does not match torch's)
    except Exception as error:
        text = f"cannot be imported: {error}. Install torch and torchvision of matching builds."
        return [("torch", False, text)]
    from dstbench.training.device import choose_device, default_precision

    device = choose_device(args.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    threads = torch.get_num_threads()
    return [
        ("device", True, f"{device} {name}".strip() + f", {threads} CPU threads"),
        (
            "precision",
            True,
            f"{default_precision(device)} by default; to change it: --set \"precision='fp32'\"",
        ),
    ]


def _folders(args: argparse.Namespace) -> list[Row]:
    nearest = args.runs.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return [("runs", True, str(args.runs))]
    except OSError as error:
        text = (
            f"{args.runs} cannot be written ({error.strerror}). Choose another folder with --runs"
        )
        return [("runs", False, text)]


def _data(args: argparse.Namespace) -> list[Row]:
    from dstbench.data.datasets import names

    return [
        (f"dataset {name}", "not found" not in state, state)
        for name, state in names(args.data_root, args.cache).items()
    ]


def _store(args: argparse.Namespace) -> Row:
    from dstbench.tracking.store_check import check

    fine, text = check(args.tracking)
    return ("MLflow store", fine, text)
