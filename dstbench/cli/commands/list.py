"""`dstbench list`: what there is to choose from, or the settings of one class."""

import argparse
import dataclasses
import json
from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dstbench.cli.options.preparation import LISTS
from dstbench.config import catalog
from dstbench.config.catalog import Entry
from dstbench.config.reference import Setting
from dstbench.config.shipped_files import GRIDS, RECIPES
from dstbench.data import datasets
from dstbench.errors import UserError, did_you_mean

_FOLDERS = {"recipes": RECIPES, "grids": GRIDS}


def main(args: argparse.Namespace) -> int:
    if args.settings and args.what is None:
        if args.json:
            raise UserError("list --settings --json: all settings are a page; give a class.")
        return _settings_page(args)
    if args.settings and args.what in LISTS:
        raise UserError(f"list {args.what} --settings: give a class, or no name for all of them.")
    if args.what is not None and args.what not in LISTS:
        return _one_class(args)
    kinds = [args.what] if args.what else list(LISTS)
    entries = {kind: _entries(kind, args) for kind in kinds}
    if args.json:
        plain = {kind: [dataclasses.asdict(e) for e in found] for kind, found in entries.items()}
        print(json.dumps(plain[args.what] if args.what else plain, indent=2))
        return 0
    console = Console(highlight=False)
    for kind, found in entries.items():
        for group, rows in groupby(found, key=lambda entry: entry.kind):
            console.print(_listed(f"{kind}: {group}" if group else kind, rows))
            console.print()
    return 0


def _listed(title: str, rows: Iterable[Entry]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("summary")
    for entry in rows:
        table.add_row(Text(entry.name), Text(entry.summary))
    return table


def _entries(kind: str, args: argparse.Namespace) -> list[Entry]:
    if kind == "methods":
        return catalog.methods()
    if kind in _FOLDERS:
        return catalog.gin_files(_FOLDERS[kind])
    if kind == "datasets":
        return [
            Entry(name, state, "")
            for name, state in datasets.names(args.data_root, args.cache).items()
        ]
    return catalog.classes(kind, args.plugins)


def _settings_page(args: argparse.Namespace) -> int:
    from dstbench.cli.settings_page import load_classes, settings_page  # imports torch

    load_classes(args.plugins)
    print(settings_page(), end="")
    return 0


def _one_class(args: argparse.Namespace) -> int:
    """Print the settings of the class that is asked for."""
    from dstbench.cli.settings_page import load_classes  # imports torch
    from dstbench.config import reference
    from dstbench.config.registry import GROUPS, lookup, names

    load_classes(args.plugins)
    known = [name for group in GROUPS for name in names(group)]
    if args.what not in known:
        raise UserError(
            f"list {args.what}: no such list, and no such class.{did_you_mean(args.what, known)} "
            f"Lists: {', '.join(LISTS)}. Methods' files are in `dstbench list methods`."
        )
    cls = lookup(args.what)
    found = reference.settings(cls)
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return 0
    console = Console(highlight=False)
    console.print(f"{cls.__name__}: {reference.summary(cls)}\n", markup=False)
    console.print(_table(found))
    if source := reference.sources(cls):
        console.print(f"\nSource: {source}", markup=False)
    return 0


def _table(found: list[Setting]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("setting", "type", "default", "meaning"):
        table.add_column(column, no_wrap=column == "setting")
    for one in found:
        table.add_row(*map(Text, (one.name, one.type, one.default, one.text)))
    return table
