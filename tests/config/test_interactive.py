"""The hash of a notebook's class: its code and its bases', and nothing that moves with it."""

from dstbench.config import interactive
from dstbench.config.registry import INTERACTIVE


def defined(source, name="Mine"):
    """A class as a cell of a notebook defines it."""
    space = {"__name__": INTERACTIVE}
    exec(compile(source, "<cell>", "exec"), space)
    return interactive._sha256(space[name])


BASE = "class Base:\n    def score(self):\n        return {}\n"
MINE = "class Mine(Base):\n    fraction = {}\n    def grow(self):\n        return self.score()\n"


def test_the_hash_is_of_the_class_and_its_bases():
    first = defined(BASE.format(1) + MINE.format(0.3))
    assert first == defined("\n\n" + BASE.format(1) + "\nx = 1\n" + MINE.format(0.3))
    assert first != defined(BASE.format(2) + MINE.format(0.3))
    assert first != defined(BASE.format(1) + MINE.format(0.5))
