"""Signals between two steps: noted, not acted on; only a second Ctrl-C stops at once."""

import signal

import pytest

from dstbench.utils.signals import Interrupted, Stop


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM] * 3, [signal.SIGINT, signal.SIGTERM]],
)
def test_signals_are_noted_and_raised_when_asked(numbers):
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        stop.raise_if_asked()
        for number in numbers:
            signal.raise_signal(number)
        with pytest.raises(Interrupted) as error:
            stop.raise_if_asked()
    assert error.value.exit_code == 128 + numbers[-1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_stops_at_once():
    with Stop(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
