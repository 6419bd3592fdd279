"""`dstbench new`: writes the three files of a new method, ready to run."""

import argparse
import keyword
import re
from pathlib import Path

from dstbench.config import catalog
from dstbench.config.registry import GROUPS
from dstbench.errors import UserError
from dstbench.utils.files import write_atomic
from dstbench.utils.printable import utf8

LONGEST = 80  # characters of a class name; limits the file names

CLASS = '''"""{name}: what it does, in one sentence. Source: paper, section, equation."""

from torch import Tensor

from dstbench import DropGrow, State, gradient_of, register


@register("parts")
class {name}(DropGrow):
    """Drops the smallest magnitudes and grows the weights with the largest ..."""

    def grow_score(self, state: State, name: str) -> Tensor | None:
        """Return the growth score of every weight of one tensor, (numel,), zero or more."""
        gradient = gradient_of(state.masks.parameters[name])
        return None if gradient is None else gradient.abs()
'''

GIN = """# {name}: what it does, in one sentence. Source of every number beside it.
# Kind: dynamic sparse
# Parts: ERK chooses the first masks, {name} moves them.

Run.method = @Method()
Method.name = '{name}'
Method.parts = [@ERK(), @{name}()]

ERK.sparsity = %sparsity  # fraction removed

{name}.drop_fraction = @Cosine()  # α, fraction of a layer's live weights, from start to end
Cosine.start = 0.3
Cosine.end = 0.0
{name}.updates_per_run = 40       # evenly spaced mask updates
"""

TEST = '''"""{name} passes the conformance suite."""

from pathlib import Path

import pytest

from dstbench.conformance.suite import run_checks

HERE = Path(__file__).parent


def test_{stem}_conforms():
    results = list(run_checks(str(HERE / "{stem}.gin"), (HERE / "{stem}.py",)))
    failed = [f"{{r.name}}: {{r.detail}}" for r in results if not r.passed]
    if failed:
        pytest.fail("\\n".join(failed))
'''


def main(args: argparse.Namespace) -> int:
    name: str = args.name
    taken = {entry.name for group in GROUPS for entry in catalog.classes(group, [])}
    if name in taken | {"Part", "DropGrow", "Budget", "State", "Tensor"}:
        raise UserError(f"{name} is the name of a class of dstbench. Choose another name.")
    if (
        not name.isascii()
        or not name.isidentifier()
        or keyword.iskeyword(name)
        or not name[0].isupper()
        or len(name) > LONGEST
    ):
        raise UserError(
            f"{name!r} cannot name a class: use letters, digits and underscores, a capital letter "
            f"first, at most {LONGEST} characters, such as MyMethod."
        )
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    folder: Path = args.into
    if not folder.is_dir():
        raise UserError(f"--into {folder}: no such folder. Create it first.")
    files = {f"{stem}.py": CLASS, f"{stem}.gin": GIN, f"test_{stem}.py": TEST}
    for file in files:
        if (folder / file).exists():
            raise UserError(f"{folder / file} already exists. Choose another name or folder.")
    _write_all({folder / file: text.format(name=name, stem=stem) for file, text in files.items()})
    gin, plugin = folder / f"{stem}.gin", folder / f"{stem}.py"
    print(
        f"Wrote {plugin} (the method), {gin} (its settings) and {folder / f'test_{stem}.py'}.\n"
        f"Try:  dstbench check {gin} --plugin {plugin}\n"
        f"      dstbench run {gin} --plugin {plugin}"
    )
    return 0


def _write_all(texts: dict[Path, str]) -> None:
    """Write all files, or none if one of them cannot be written."""
    try:
        for path, text in texts.items():
            write_atomic(path, utf8(text))
    except UserError:
        for path in texts:
            path.unlink(missing_ok=True)
        raise
