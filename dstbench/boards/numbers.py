"""Numbers in records, which may hold anything that JSON has."""

import math
from typing import Any


def is_finite(value: Any) -> bool:
    """Return whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """Return whether a JSON value is a whole number, zero or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
