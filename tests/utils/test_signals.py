"""GracefulStop: signals are recorded; only a second Ctrl-C acts at once."""

import signal

import pytest

from dstbench.utils.signals import GracefulStop, Interrupted


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM] * 3, [signal.SIGINT, signal.SIGTERM]],
)
def test_graceful_stop_raises_interrupted_between_steps(numbers):
    before = signal.getsignal(signal.SIGTERM)
    with GracefulStop() as stop:
        stop.raise_if_received()
        for number in numbers:
            signal.raise_signal(number)
        with pytest.raises(Interrupted) as error:
            stop.raise_if_received()
    assert error.value.exit_code == 128 + numbers[-1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_graceful_stop_raises_keyboard_interrupt_at_second_ctrl_c():
    with GracefulStop(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
