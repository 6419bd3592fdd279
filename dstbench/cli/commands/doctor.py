"""`dstbench doctor`: checks versions, device, folders, datasets and the MLflow store."""

import argparse
import importlib.metadata
import platform
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dstbench import __version__

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "gin-config",
    "mlflow",
    "pyarrow",
    "pillow",
    "scikit-learn",
)

Row = tuple[str, bool, str]  # name, whether it works, text


def main(args: argparse.Namespace) -> int:
    rows = [("dstbench", True, f"{__version__}, in {Path(__file__).parents[2]}")]
    rows += [("python", True, f"{platform.python_version()}, {platform.platform()}")]
    rows += _packages() + _devices(args) + _folders(args) + _data(args) + [_store(args)]
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
