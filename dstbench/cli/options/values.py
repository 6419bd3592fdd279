"""The values of options: text → number, sizes or shape; argparse prints what is refused."""

import argparse
import math


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def positive(text: str) -> float:
    """Return a number above zero."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def whole_number(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def batch_sizes(text: str) -> list[int]:
    """Return the sizes in a list such as "1,2,64", sorted, without duplicates."""
    if (sizes := _sizes(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers from 1, such as 1,2,64")
    return sorted({*sizes})


def image_shape(text: str) -> tuple[int, int, int]:
    """Return (channels, height, width) in "C,H,W"."""
    sizes = _sizes(text)
    if sizes is None or len(sizes) != 3:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected channels, height and width, such as 3,64,64"
        )
    channels, height, width = sizes
    return channels, height, width


def _sizes(text: str) -> list[int] | None:
    """Return the whole numbers between commas, None if one is not a whole number from 1."""
    try:
        sizes = [whole_number(word) for word in text.split(",")]
    except argparse.ArgumentTypeError:
        return None
    return sizes if min(sizes) >= 1 else None
