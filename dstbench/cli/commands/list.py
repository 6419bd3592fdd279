"""`dstbench list`: lists methods, parts, recipes, datasets and models, as tables or JSON."""

import argparse
import dataclasses
import json

from rich.console import Console
from rich.table import Table

from dstbench.cli.parser import LISTS
from dstbench.config import catalog
from dstbench.config.catalog import Entry
from dstbench.data import datasets


def main(args: argparse.Namespace) -> int:
    kinds = [args.what] if args.what else list(LISTS)
    entries = {kind: _entries(kind, args) for kind in kinds}
    if args.json:
        plain = {kind: [dataclasses.asdict(e) for e in found] for kind, found in entries.items()}
        print(json.dumps(plain[args.what] if args.what else plain, indent=2))
        return 0
    console = Console(highlight=False)
    for kind, found in entries.items():
        table = Table(title=kind, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", no_wrap=True)
        table.add_column("summary")
        for entry in found:
            table.add_row(entry.name, entry.summary)
        console.print(table)
        console.print()
    return 0


def _entries(kind: str, args: argparse.Namespace) -> list[Entry]:
    if kind == "methods":
        return catalog.methods()
    if kind == "recipes":
        return catalog.gin_files("gin/recipes")
    if kind == "datasets":
        return [
            Entry(name, state, "")
            for name, state in datasets.names(args.data_root, args.cache).items()
        ]
    return catalog.classes(kind, args.plugins)
