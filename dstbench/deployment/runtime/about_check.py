"""What the description in a file must be, so that showing it and normalising with it is safe."""

from collections.abc import Callable
from typing import Any, cast

from .program import About
from .program_check import InvalidProgram, counts, require, shown

LEAST_STD, MOST_MEAN = 1e-6, 1e6  # pixels are in [0, 1]; normalised ones stay far from infinity


def check_about(about: Any, image_shape: list[int], classes: int) -> None:
    """Raise InvalidProgram unless a description is one.

    about: from JSON, without NaN and infinity.
    image_shape: channels, height, width.
    classes: number of logits.
    """
    require(isinstance(about, dict), "its description is not one")
    for key, (allowed, holds) in _KINDS.items():
        if key in about and not holds(about[key]):
            raise InvalidProgram(f"{key} is {shown(about[key])}, not {allowed}.")
    require(about.get("image_shape") in (None, image_shape), "image_shape is described wrongly")
    names = about.get("classes")
    require(names is None or len(names) == classes, "classes are not named, one each")
    for name in ("mean", "std"):
        numbers = about.get(name)
        fits = numbers is None or len(numbers) == image_shape[0]
        require(fits, f"{name} is not one number a channel")


def known(about: dict[str, Any]) -> About:
    """Return the keys of `About`, with control characters of texts written out, as for a terminal.

    about: as `check_about` accepts it.
    """
    return cast(About, {key: _plain(about[key]) for key in About.__annotations__ if key in about})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
    return value


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e30


def _or_none(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or holds(value)


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _mean(value: Any) -> bool:
    return _number(value) and abs(value) <= MOST_MEAN


def _std(value: Any) -> bool:
    return _number(value) and LEAST_STD <= value <= MOST_MEAN


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "method": ("a text", _text),
    "model": ("a text", _text),
    "dataset": ("a text", _text),
    "seed": ("a whole number", lambda value: type(value) is int),
    "sparsity": ("a number", _number),
    "accuracy": ("a number", _or_none(_number)),
    "epoch": ("a text", _text),
    "config_sha256": ("a text", _text),
    "commit": ("a text", _or_none(_text)),
    "image_shape": ("three whole numbers", _or_none(counts)),
    "classes": ("texts", _or_none(_list_of(_text))),
    "mean": (f"numbers up to {MOST_MEAN:g}", _or_none(_list_of(_mean))),
    "std": (f"numbers from {LEAST_STD:g} to {MOST_MEAN:g}", _or_none(_list_of(_std))),
}
