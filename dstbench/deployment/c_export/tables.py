"""Arrays as C tables, in the narrowest type that holds them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_WIDTH = 96  # characters of a line


@dataclass(frozen=True)
class Table:
    """A constant table of C.

    name: of the table.
    values: one or two dimensions. Integers are stored in the narrowest type, others as float.
    typedef: name given to the type of its elements, or "".
    """

    name: str
    values: np.ndarray
    typedef: str = ""

    @property
    def bytes(self) -> int:
        return max(self.values.size, 1) * _narrowest(self.values)[1]

    @property
    def text(self) -> str:
        """The definition. C has no empty tables: an empty one has one zero, which nobody reads."""
        values = self.values if self.values.size else np.zeros(1, self.values.dtype)
        name, _ = _narrowest(values)
        lines = [f"typedef {name} {self.typedef};"] if self.typedef else []
        size = f"[{len(values)}]" + "".join(f"[{n}]" for n in values.shape[1:])
        lines.append(f"static const {self.typedef or name} {self.name}{size} = {{")
        if values.ndim == 2:
            lines += [f"    {{{', '.join(map(_number, row))}}}," for row in values]
        else:
            lines += _wrapped(map(_number, values))
        return "\n".join([*lines, "};"])


def c_string(text: str) -> str:
    """Return a string literal; bytes other than plain characters are escaped."""
    plain = set(range(32, 127)) - set(b'"\\?')  # ?: no trigraphs
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def c_comment(text: str) -> str:
    """Return a comment of one line."""
    return f"/* {' '.join(text.split()).replace('*/', '* /').replace('/*', '/ *')} */"


def float_literal(number: float) -> str:
    """Return a float of C: as many digits as determine it."""
    text = repr(float(np.float32(number))) if number == int(number) else f"{number:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def _number(value: np.generic) -> str:
    return str(value) if value.dtype.kind in "iu" else float_literal(value.item())


def _narrowest(values: np.ndarray) -> tuple[str, int]:
    """Return (type of C, its bytes)."""
    if values.dtype.kind not in "iub":
        return "float", 4
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for bits in (8, 16, 32):
        if low >= 0 and high < 2**bits:
            return f"uint{bits}_t", bits // 8
        if low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1):
            return f"int{bits}_t", bits // 8
    raise ValueError(f"{low} … {high} does not fit 32 bits")


def _wrapped(numbers: Iterable[str]) -> list[str]:
    lines, line = [], "   "
    for number in numbers:
        if len(line) + len(number) + 2 > _WIDTH:
            lines.append(line)
            line = "   "
        line += f" {number},"
    return [*lines, line]
