"""Names of methods and models: what they may contain, and which two look alike."""

import re
import unicodedata

from dstbench.config.suite_methods import suite_parts

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s"})


def suite_methods() -> set[str]:
    """Return the names of the suite's methods, from their gin files."""
    return {*suite_parts()}


def name_problem(name: str) -> str | None:
    """Return what is wrong with a name, or None.

    ASCII letters, digits and punctuation only: other scripts have letters that look the same.
    """
    if not name.isascii() or not name.isprintable():
        odd = next(c for c in name if not c.isascii() or not c.isprintable())
        what = unicodedata.name(odd, f"U+{ord(odd):04X}")
        return f"contains {what}; only printable ASCII characters are allowed"
    if name != " ".join(name.split()):
        return "has a space at an end, or two in a row"
    return None


def skeleton(name: str) -> str:
    """Return a text that is equal for names that a reader may confuse."""
    return re.sub(r"[\s_\-.]", "", name.casefold()).translate(_ALIKE)
