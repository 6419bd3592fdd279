"""GracefulStop: signals are recorded; only a second Ctrl-C acts at once."""

import signal
import threading

import pytest

from dstbench.utils.signals import GracefulStop, Interrupted, ignore_announcements


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGHUP],
        [signal.SIGUSR1],
        [signal.SIGUSR2],
        [signal.SIGTERM] * 3,
        [signal.SIGINT, signal.SIGTERM],
    ],
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


def test_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with GracefulStop() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_handles_no_signals():
    received = []

    def work():
        with GracefulStop() as stop:
            received.append(stop.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert received == [None]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_announcement_before_a_run_can_save_does_not_kill_it(number):
    before = signal.getsignal(number)
    try:
        ignore_announcements()
        signal.raise_signal(number)
        with GracefulStop() as stop:
            signal.raise_signal(number)
            assert stop.received == number
    finally:
        signal.signal(number, before)
