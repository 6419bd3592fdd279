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
    begun: list[Turns] = []
    reason = ""
    try:
        for number, x in enumerate(examples):
            begun.append(Turns(forms, x, smaller=begun[-1] if begun else None))
            _time(begun[-1], budget, shares=len(examples) - number, optional=number > 0)
    except TimeoutError as error:
        reason = str(error)
    except KeyboardInterrupt:
        if not any(turns.latencies() for turns in begun):
            raise
        reason = INTERRUPTED
    latencies = [latency for turns in begun for latency in turns.latencies()]
    timed = {latency.batch for latency in latencies}
    return latencies, {str(len(x)): reason for x in examples if len(x) not in timed}


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
