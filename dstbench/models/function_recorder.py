"""Records the torch functions that a forward pass calls.

Functions rather than modules: a module may use the weight of another, and attention does.

What is known of a tensor belongs in a dictionary with the tensor as its key. Tensors hash and
compare by identity there, and the dictionary keeps them alive, so that no later tensor gets the id
of a freed one. Test `isinstance(x, Tensor)` before looking an argument up: lists have no hash.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

Record = Callable[[Callable[..., Any], Any, tuple, dict[str, Any]], None]


def tensors_in(operands: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among operands, and in their lists."""
    for operand in operands:
        for one in operand if isinstance(operand, tuple | list) else (operand,):
            if isinstance(one, Tensor):
                yield one


class FunctionRecorder(TorchFunctionMode):
    """Context in which every call of a torch function is recorded.

    Functions that a recorded function calls itself are not recorded. Control flow that depends on
    values is not seen.

    record: called after each call, with (function, its result, its arguments, its keywords).
    instead: function → one that is called in its place.
    """

    def __init__(self, record: Record, instead: Mapping[Callable[..., Any], Any] | None = None):
        super().__init__()
        self._record, self._instead = record, instead or {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = self._instead.get(func, func)(*args, **kwargs)
        self._record(func, result, args, kwargs)
        return result
