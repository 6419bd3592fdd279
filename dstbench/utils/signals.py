"""Graceful stop: signals that end a process do so between two steps, with its state saved.

SIGTERM and Ctrl-C are the usual ones; Slurm announces a time limit by SIGUSR1 or SIGUSR2, and a
lost terminal sends SIGHUP.
"""

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
SAVED_EXITS = frozenset(128 + number for number in _SIGNALS)  # exit codes of an Interrupted run


def ignore_announcements() -> None:
    """Ignore USR1 and USR2 until a run can save, so that an early one does not kill it."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


class Interrupted(Exception):
    """A signal stopped the run between two steps; its State is complete.

    exit_code: 128 + the signal's number, as shells report it.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class GracefulStop:
    """Records these signals instead of acting on them, as a context manager.

    A second Ctrl-C raises KeyboardInterrupt at once; other repeated signals are ignored. Under
    nohup, SIGHUP stays ignored. Outside the main thread, which alone may handle signals, nothing is
    recorded.

    received: number of the last signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "GracefulStop":
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                hidden = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
                if not hidden:
                    self._before[number] = signal.signal(number, self._record)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        self.received = number

    def raise_if_received(self) -> None:
        """Raise Interrupted if a signal was received."""
        if self.received is not None:
            raise Interrupted(self.received)
