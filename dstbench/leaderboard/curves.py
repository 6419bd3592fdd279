"""A run's curves, reduced to what figures show of it: a few kilobytes instead of megabytes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dstbench.errors import UserError

SCALARS = ("epoch", "sparsity", "grad_norm_live", "live_path_share", "positive_preactivations",
           "val_accuracy")  # fmt: skip
AT_THE_END = "layers_positive"
_DIGITS = 6  # significant ones; a figure shows no more


def reduce(lines: Iterable[str], source: str) -> dict[str, Any]:
    """Name → one value an epoch, and of `layers_positive` the last epoch's.

    lines: of a curves.jsonl. source: what an error calls it. Raises UserError when they are not
    that.
    """
    try:
        epochs: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
        reduced: dict[str, Any] = {
            name: [_rounded(epoch.get(name)) for epoch in epochs] for name in SCALARS
        }
        last = epochs[-1].get(AT_THE_END, {}) if epochs else {}
        reduced[AT_THE_END] = {name: _rounded(value) for name, value in last.items()}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{source}: holds no curves: it is not JSON lines ({error}).") from None
    return reduced


def encode(reduced: Mapping[str, Any]) -> bytes:
    """As it is kept: a line for every name."""
    lines = ",\n".join(f"{json.dumps(k)}:{_compact(v)}" for k, v in reduced.items())
    return f"{{\n{lines}\n}}\n".encode()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
