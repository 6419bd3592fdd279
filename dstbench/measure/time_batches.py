"""Times every form at every batch size, within a budget or until Ctrl-C."""

from collections.abc import Sequence

from torch import Tensor

from dstbench.measure.budget import Budget
from dstbench.measure.execution_forms import Form
from dstbench.measure.latency import Latency, Turns

INTERRUPTED = "interrupted"  # the reason of batch sizes that Ctrl-C left out


def time_batches(
    forms: Sequence[Form], examples: Sequence[Tensor], budget: Budget
) -> tuple[list[Latency], dict[str, str]]:
    """Return the latencies, and batch size → reason of those that were left out.

    Each batch size gets an equal share of the time that is left when its turn comes. The smallest
    is timed in any case. The others are left out where not even one call of every form fits into
    the time, or after Ctrl-C.

    examples: a batch of every size, ascending.

    Raises KeyboardInterrupt: on Ctrl-C before every form was timed at one batch size.
    """
    timed: dict[int, list[Latency]] = {}  # by batch size, so that an interruption repeats none
    turns, reason = None, ""
    try:
        for number, x in enumerate(examples):
            turns = Turns(forms, x, smaller=turns)
            _time(turns, budget, shares=len(examples) - number, optional=number > 0)
            timed[turns.batch] = turns.latencies()
    except TimeoutError as error:
        reason = str(error)
    except KeyboardInterrupt:
        if turns is not None:
            timed[turns.batch] = turns.latencies()
        if not any(timed.values()):
            raise
        reason = INTERRUPTED
    latencies = [latency for each in timed.values() for latency in each]
    return latencies, {str(len(x)): reason for x in examples if not timed.get(len(x))}


def _time(turns: Turns, budget: Budget, shares: int, optional: bool) -> None:
    """Warm up and time one batch size.

    shares: number of batch sizes that the rest of the time is for.
    optional: whether to leave it out where its calls do not fit into the time.

    Raises TimeoutError: when it is left out.
    """

    def check() -> None:
        if optional and budget.repeats is None and turns.needed > budget.left():
            raise TimeoutError(
                f"its calls do not fit into --seconds {budget.seconds:g}; "
                f"--seconds {3 * budget.seconds:g} allows more"
            )

    def goes_on() -> bool:
        return budget.repeats is not None or budget.left() > kept

    kept = budget.left() * (shares - 1) / shares
    budget.show(f"batch {turns.batch}: warming up")
    turns.warm_up(check)
    check()
    repeats = budget.repeats or turns.calls_within(budget.left() - kept)
    budget.show(f"batch {turns.batch}: {repeats} calls of each form")
    turns.run(repeats, goes_on)
