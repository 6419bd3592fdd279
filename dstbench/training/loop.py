"""The training loop: one screen, the same for every method, knowing none of them by name.

Nothing in a step reads a number back from the device; losses and counts add up there, in the
State's memory, until the epoch ends.
"""

from collections.abc import Callable

from torch.nn.functional import cross_entropy

from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchStream
from dstbench.models.precision import Autocast
from dstbench.training.meters import add_to_meters_


def train(
    state: State,
    method: Part,
    batches: BatchStream,
    rate_at: Callable[[float], float],
    autocast: Autocast,
    after_epoch: Callable[[State], None],
    after_step: Callable[[State], None],
) -> None:
    """Run the steps that are left.

    rate_at: progress → learning rate. after_epoch, after_step: what the run does in between
    (measuring, reporting, checkpoints); `after_step` may raise to stop between two steps.
    """
    model, optimizer = state.model, state.optimizer
    assert optimizer is not None
    model.train()
    while state.step < state.total_steps:
        x, y = batches.at(state.step)
        method.before_step(state)
        with autocast():
            logits = model(x)
        loss = cross_entropy(logits.float(), y)
        optimizer.zero_grad()
        loss.backward()  # gradients are dense
        method.after_backward(state)
        optimizer.step(rate_at(state.progress))  # dead weights and their state stay 0
        state.step += 1
        method.after_step(state)
        add_to_meters_(state.memory, loss, logits, y)
        if state.step % batches.plan.steps_per_epoch == 0:
            after_epoch(state)
            model.train()
        after_step(state)
