"""One uninterrupted run, observed once for all checks that compare or inspect such a run."""

import io
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dstbench.conformance.snapshot import snapshot
from dstbench.conformance.trial import OPTIMIZERS, Trial, advance, initial_state, parts_of
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.sparsity import live_total
from dstbench.training.build import finalize


@dataclass(frozen=True)
class ObservedRun:
    """What checks need to know of a run.

    asked: number of live weights that the sparsity asks for.
    dense_to_sparse: whether the method declares that it ends sparse only.
    final_step: step from which on the method declares its structure final.
    live: number of live weights before the first step, after each, and after the method's finish.
    masked: whether the network has masks.
    dead: the first dead weights, or optimizer state of such, that are not zero; None if all are.
    settings: snapshots of the method and its parts, before the run and after it.
    middle: checkpoint in the middle of an epoch and of the run.
    end: snapshot of the checkpoint after the last step.
    """

    asked: int
    dense_to_sparse: bool
    final_step: int
    live: list[int]
    masked: bool
    dead: str | None
    settings: tuple[dict[str, str], dict[str, str]]
    middle: bytes
    end: dict[str, str]


@lru_cache(maxsize=len(OPTIMIZERS))
def observe(trial: Trial, optimizer: str) -> ObservedRun:
    """Return what a run of the method does; the same run again comes from a cache."""
    run = trial.run(optimizer)
    given = _settings(run.method)  # surgery may change them already
    batches, state = initial_state(run, size=trial.size)
    live, middle = [state.masks.total()], io.BytesIO()
    dead: list[str] = []

    def look(state: State) -> None:
        live.append(state.masks.total())
        if not dead and (found := _dead_weights(state) or _dead_state(state)):
            dead.append(f"after step {state.step}, {found}")
        if state.step == state.total_steps // 2 + 1:
            torch.save(state.state_dict(), middle)

    advance(run, batches, state, state.total_steps, look)
    end = snapshot(state.state_dict())
    finalize(run.method, state)
    live.append(state.masks.total())
    if not dead and (found := _dead_weights(state)):
        dead.append(f"after the method's finish, {found}")
    return ObservedRun(
        asked=live_total(run.method.sparsity, state.dense_numel),
        dense_to_sparse=run.method.dense_to_sparse,
        final_step=run.method.final_structure_step(state.total_steps),
        live=live,
        masked=bool(state.masks),
        dead=dead[0] if dead else None,
        settings=(given, _settings(run.method)),
        middle=middle.getvalue(),
        end=end,
    )


def _dead_weights(state: State) -> str | None:
    for name, mask in state.masks.items():
        dead = state.masks.parameters[name][~mask]
        if dead.any():
            return f"{name} has {int((dead != 0).sum())} non-zero dead weights"
    return None


def _dead_state(state: State) -> str | None:
    inner = getattr(state.optimizer, "inner", None)
    if inner is None:
        return None
    for name, mask in state.masks.items():
        for key, value in inner.state[state.masks.parameters[name]].items():
            per_weight = isinstance(value, Tensor) and value.shape == mask.shape
            if per_weight and value[~mask].any():
                return f"{name}: {key} of dead weights is not zero"
    return None


def _settings(method: Part) -> dict[str, str]:
    """Return a snapshot of the method, its parts and everything inside, and of their classes."""
    found = snapshot(method, type(method).__name__)
    for part in parts_of(method):
        for cls in type(part).__mro__:
            if issubclass(cls, Part) and cls is not Part:
                for name, value in vars(cls).items():
                    if _is_data(name, value):
                        found |= snapshot(value, f"class {cls.__name__}.{name}")
    return found


def _is_data(name: str, value: object) -> bool:
    return not (name.startswith(("__", "_abc")) or callable(value) or hasattr(value, "__get__"))
