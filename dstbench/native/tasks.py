"""Runs the tasks of a pass, in one thread or several; results do not depend on how many."""

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from dstbench.native.backward import backward
from dstbench.native.constants import OPTIONS
from dstbench.native.forward import forward

END = 1 << 60
CACHE_LINE = 8  # int64 numbers, so that threads do not write to the same line
_SPINS = 2000  # looks at another thread before the processor is offered to it

_yield = types.ExternalFunction("sched_yield", types.int32())
_INT = types.int64


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def _add_atomically(typing: Any, counters: Any, at: Any, value: Any) -> Any:
    """Add to counters[at] and return what it was, as one operation."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return _INT(counters, _INT, _INT), generate


@intrinsic
def _set_atomically(typing: Any, counters: Any, at: Any, value: Any) -> Any:
    """Set counters[at], after everything that this thread has written."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        builder.atomic_rmw("xchg", pointer, args[2], "seq_cst")
        return context.get_dummy_value()

    return types.void(counters, _INT, _INT), generate


@intrinsic
def _get_atomically(typing: Any, counters: Any, at: Any) -> Any:
    """Return counters[at], before anything that this thread reads later."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, args), "acquire", 8)

    return _INT(counters, _INT), generate


# Compiled code calls them without the first argument.
_fetch_add: Any = _add_atomically
_publish: Any = _set_atomically
_look: Any = _get_atomically


@njit(**OPTIONS)
def run(
    A: Any, is_backward: bool, me: int, threads: int, next_task: Any, done: Any, S: Any
) -> None:
    """Take tasks in order until none is left.

    me: number of this thread.
    next_task: counter of all threads, (1,).
    done: one cache line a thread: all its tasks below this one are done.
    S: this thread's scratch memory.
    """
    count = len(A.order)
    while True:
        _publish(done, CACHE_LINE * me, _look(next_task, 0))
        task = _fetch_add(next_task, 0, 1)
        if task >= count:
            break
        _publish(done, CACHE_LINE * me, task)
        for other in range(threads):
            spins = 0
            while other != me and _look(done, CACHE_LINE * other) <= A.after[task]:
                spins += 1
                if spins > _SPINS:
                    _yield()
        if is_backward:
            backward(A, A.order[task], S)
        else:
            forward(A, A.order[task], S)
    _publish(done, CACHE_LINE * me, END)
