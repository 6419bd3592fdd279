"""The function recorder: which calls it records, and tensors as keys of a dictionary."""

import gc

import torch
from torch import nn
from torch.nn import functional as F

from dstbench.models.function_recorder import FunctionRecorder


def recorded(run):
    """Return (function, result, args, kwargs) of the calls inside `run`."""
    calls = []
    with FunctionRecorder(lambda *call: calls.append(call)):
        run()
    return calls


def test_function_recorder_records_functions_of_modules_with_arguments():
    layer, x = nn.Linear(2, 3, bias=False), torch.ones(1, 2)
    ((function, result, args, kwargs),) = recorded(lambda: layer(x))
    assert function is F.linear
    assert args[0] is x and args[1] is layer.weight
    assert torch.equal(result, x @ layer.weight.T) and kwargs == {}


def test_function_recorder_ignores_calls_inside_a_recorded_function():
    attention, x = nn.MultiheadAttention(4, 2), torch.ones(3, 1, 4)
    functions = [call[0] for call in recorded(lambda: attention(x, x, x))]
    assert F.multi_head_attention_forward in functions and F.linear not in functions


def test_function_recorder_stops_at_the_end_of_the_block():
    calls = []
    with FunctionRecorder(lambda *call: calls.append(call)):
        pass
    torch.relu(torch.ones(1))
    assert calls == []


def test_tensors_are_dictionary_keys_by_identity_and_stay_alive():
    known = {}

    def record(function, result, args, kwargs):
        known[result] = len(known)

    with FunctionRecorder(record):
        for _ in range(100):
            torch.relu(torch.ones(3))  # without the dictionary, ids of freed tensors come again
            gc.collect(0)
    assert len({id(tensor) for tensor in known}) == len(known) >= 100
    assert torch.ones(3) not in known
