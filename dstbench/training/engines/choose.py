"""The choice of the engine that trains a run, or evaluates a network: one rule, in one place."""

import copy
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from dstbench.core.masks import Masks
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.metrics.cost import cost
from dstbench.metrics.training_cost import dense_training_macs
from dstbench.models.live_convolutions import forward_context
from dstbench.models.network_copy import copy_with
from dstbench.models.precision import autocast_for
from dstbench.recording.types import EngineName
from dstbench.sparsity import percent
from dstbench.training.engines.engine import Engine
from dstbench.training.engines.expected_speed import LiveMacs, live_macs
from dstbench.training.engines.native_engine import NativeEngine
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run

# Fewest MACs, forward and backward, of training the dense network at which 'auto' takes the native
# engine: some minutes of torch on one core. A shorter run could be over before the kernels are
# compiled.
MIN_TRAINING_MACS = 1e12
# The same of evaluating a network, forward alone, and the largest fraction of MACs on live weights.
# At 7 % the native engine is 1.5 times as fast as torch (ResNet-34) to 3 times (narrower ones).
MAX_EVALUATED_LIVE_MACS = 0.07
MIN_EVALUATION_MACS = 1e12


def choose_engine(
    run: Run,
    state: State,
    options: RuntimeOptions,
    before: EngineName | None,
    note: Callable[[str], None],
) -> Engine:
    """Return the engine of a run, as `Run.engine` asks.

    state: where the session begins, with masks and optimizer.
    before: the engine of the session that is resumed, which 'auto' keeps: masks that moved since
        may have other costs, and the result must not depend on where a run was stopped.
    note: prints the choice of 'auto' and its reason.

    Raises UserError when 'native' is asked for, and no step of the run could use it.
    """
    context = forward_context(run.precision, options.device)
    engine = TorchEngine(state.model, context, run.label_smoothing, run.microbatches)
    if run.engine == "torch":
        return engine
    asked, becomes_sparse = run.engine == "native", run.method.dense_to_sparse
    reason = _obstacle(run, state, options)
    if reason is None and (becomes_sparse or not asked):
        macs = live_macs(state, run.batch_size)
    if reason is None and not asked:
        if before is None:
            reason = _no_gain(run, state, macs)
        elif before == "torch":
            reason = "the session before this one took it"
    if reason is None and _compiler_is_missing():
        reason = "the native engine needs numba (pip install 'dstbench[native]')"
    if reason is None:
        native = NativeEngine(
            state,
            engine,
            torch.get_num_threads(),
            note,
            partial(_too_dense, run, state) if becomes_sparse else lambda: None,
        )
        if native.compile_() or becomes_sparse or _finished_compiles(run, state):
            if becomes_sparse:
                note(
                    f"Engine: native while less than {_short(macs.limit)} of the dense network's "
                    "MACs are of live weights, else torch."
                )
            elif not asked:
                note(
                    f"Engine: native, because {_short(macs.fraction)} of the dense network's MACs "
                    "are of live weights. --engine torch does not use it."
                )
            return native
        reason = f"this network cannot be compiled: {native.problem}"
    if asked:
        raise UserError(
            f"Run.engine = 'native': {reason}. Use --engine auto or --engine torch.", "Run.engine"
        )
    note(f"Engine: torch, because {reason}.")
    return engine


def evaluation_engine(state: State, precision: str, images: int) -> Engine:
    """Return what evaluates a network on a CPU: native where it saves minutes, else torch.

    state: with the network and its masks.
    precision: of its run.
    images: to be evaluated, how many; of all networks that one call evaluates.
    """
    fallback = TorchEngine(state.model, autocast_for(precision, torch.device("cpu")))
    if precision != "fp32" or not state.masks or _compiler_is_missing():
        return fallback
    counted = cost(state.model, state.masks, state.image_shape)
    live, dense = counted["macs"], counted["dense_macs"]
    if live >= MAX_EVALUATED_LIVE_MACS * dense or dense * images < MIN_EVALUATION_MACS:
        return fallback
    return NativeEngine(state, fallback, torch.get_num_threads())


def _no_gain(run: Run, state: State, macs: LiveMacs) -> str | None:
    """Return why the native engine would not be faster; None where it is expected to be."""
    expected = f"the native engine is expected to be faster below {_short(macs.limit)}"
    if run.method.dense_to_sparse:
        if (live := 1 - run.method.sparsity) >= macs.limit:
            return f"the network ends with {percent(live)} of its weights live, and {expected}"
    elif not macs.below_limit:
        return (
            f"{_short(macs.fraction)} of the dense network's MACs are of live weights, and "
            f"{expected}"
        )
    if dense_training_macs(macs.dense, run.batch_size * state.total_steps) < MIN_TRAINING_MACS:
        return "the run is short, and compiling the kernels of the native engine takes a minute"
    return None


def _too_dense(run: Run, state: State) -> str | None:
    """Return why a network that becomes sparse is not compiled yet, or None."""
    macs = live_macs(state, run.batch_size)
    if macs.below_limit:
        return None
    return f"{_short(macs.limit)} or more of the dense network's MACs are of live weights"


def _short(fraction: float) -> str:
    """Return a fraction in percent with two digits that count."""
    return f"{float(f'{100 * fraction:.2g}'):g} %"  # not 1e+02


def _obstacle(run: Run, state: State, options: RuntimeOptions) -> str | None:
    """Return why the native engine could compute no step of the run; None if it may."""
    assert state.optimizer is not None
    if options.device.type != "cpu":
        return f"the native engine runs on a CPU, and the device is {options.device}"
    if not options.group.alone:
        return "the native engine runs in one process, and the run has several"
    if run.precision != "fp32":
        return f"the native engine computes in fp32, and Run.precision is {run.precision!r}"
    if run.microbatches > 1:
        return "the native engine computes a whole batch at once, and Run.microbatches is above 1"
    if not state.masks:
        return "the network has no masks, so that all its weights are live"
    if state.optimizer.needs_dense_gradients:
        return f"{type(run.optimizer).__name__} steps by dense gradients"
    steps = range(1, state.total_steps + 1)
    if all(run.method.requires_dense_gradients(step, state.total_steps) for step in steps):
        return f"{_readers(run.method, steps)} the gradients of dead weights in every step"
    return None


def _readers(method: Part, steps: range) -> str:
    """Return which parts read dense gradients in all steps, as the begin of a sentence."""
    parts = getattr(method, "parts", (method,))
    names = [
        type(part).__name__
        for part in parts
        if all(part.requires_dense_gradients(step, steps.stop - 1) for step in steps)
    ]
    hint = " (with GradientClip.over = 'live' it does not)" if "GradientClip" in names else ""
    return f"{' and '.join(names) or 'the method'} may read{hint}"


def _compiler_is_missing() -> bool:
    return find_spec("numba") is None


def _finished_compiles(run: Run, state: State) -> bool:
    """Return whether the network could be compiled after the method's `finish`."""
    twin = copy.copy(state)
    twin.model = copy_with(state.model, Tensor.clone)
    twin.masks = Masks(twin.model)
    twin.optimizer = None
    for name in state.masks:
        twin.masks.write_(name, state.masks.index(name))
    twin.memory = dict(state.memory)
    run.method.finish(twin)
    twin.masks.parameters = Masks(twin.model).parameters
    fallback = TorchEngine(twin.model, autocast_for("fp32", torch.device("cpu")))
    return NativeEngine(twin, fallback).compile_()
