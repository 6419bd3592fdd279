"""`dstbench new`: the three files of a method of one's own, ready to run."""

import argparse
import keyword
import re
from pathlib import Path

from dstbench.config import catalog
from dstbench.config.registry import GROUPS
from dstbench.errors import UserError
from dstbench.utils.files import write_atomic

LONGEST = 80  # characters of a name, so that file names are not too long

CLASS = '''"""{name}: what it does, in a sentence. Source: paper, section, equation."""

from torch import Tensor

from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import gradient_of
from dstbench.core.state import State
from dstbench.config.registry import register


@register("parts")
class {name}(DropGrow):
    """Drops the smallest magnitudes and grows where ..."""

    def grow_score(self, state: State, name: str) -> Tensor | None:
        """Score of every position of one tensor, (numel,), non-negative; the highest grow."""
        gradient = gradient_of(state.masks.parameters[name])
        return None if gradient is None else gradient.abs()
'''

GIN = """# {name}: what it does, in a sentence. Source of every number beside it.
# Parts: ERK chooses the first masks, {name} moves them.

Run.method = @Method()
Method.name = '{name}'
Method.parts = [@ERK(), @{name}()]

ERK.sparsity = %sparsity  # fraction removed

{name}.drop_fraction = @Cosine()  # share of a layer's live weights, from start to end of the run
Cosine.start = 0.3
Cosine.end = 0.0
{name}.updates_per_run = 40
"""

TEST = '''"""{name} keeps what every method of the suite must keep."""

from pathlib import Path

import pytest

from dstbench.conformance.suite import run_checks

HERE = Path(__file__).parent


def test_conforms():
    results = list(run_checks(str(HERE / "{stem}.gin"), (HERE / "{stem}.py",)))
    failed = [f"{{r.name}}: {{r.detail}}" for r in results if not r.passed]
    if failed:
        pytest.fail("\\n".join(failed))
'''


def main(args: argparse.Namespace) -> int:
    name: str = args.name
    taken = {entry.name for group in GROUPS for entry in catalog.classes(group, [])}
    if name in taken | {"Part", "DropGrow", "Budget", "State", "Tensor"}:
        raise UserError(f"{name} is a class of the suite already. Choose another name.")
    if (
        not name.isascii()
        or not name.isidentifier()
        or keyword.iskeyword(name)
        or not name[0].isupper()
        or len(name) > LONGEST
    ):
        raise UserError(
            f"{name!r} cannot name a class: letters, digits and underscores, with a capital first, "
            f"{LONGEST} at the most, such as MyMethod."
        )
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    folder: Path = args.into
    if not folder.is_dir():
        raise UserError(f"--into {folder}: no such folder.")
    files = {f"{stem}.py": CLASS, f"{stem}.gin": GIN, f"test_{stem}.py": TEST}
    for file in files:
        if (folder / file).exists():
            raise UserError(f"{folder / file} exists already. Choose another name or folder.")
    _write_all({folder / file: text.format(name=name, stem=stem) for file, text in files.items()})
    gin, plugin = folder / f"{stem}.gin", folder / f"{stem}.py"
    print(
        f"Wrote {plugin} (the method), {gin} (its settings) and {folder / f'test_{stem}.py'}.\n"
        f"Try:  dstbench check {gin} --plugin {plugin}\n"
        f"      dstbench run {gin} --plugin {plugin}"
    )
    return 0


def _write_all(texts: dict[Path, str]) -> None:
    """Write all the files or, where one cannot be written, none."""
    try:
        for path, text in texts.items():
            write_atomic(path, text.encode())
    except UserError:
        for path in texts:
            path.unlink(missing_ok=True)
        raise
