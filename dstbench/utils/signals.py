"""Graceful stop: SIGTERM and Ctrl-C end a run between two steps, so that its state is saved."""

import signal
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A signal stopped the run between two steps; its State is complete.

    exit_code: 128 + the signal's number, as shells report it.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class GracefulStop:
    """Records SIGTERM and Ctrl-C instead of acting on them, as a context manager.

    A second Ctrl-C raises KeyboardInterrupt at once. Repeated SIGTERMs are ignored.

    received: number of the last signal, or None.
    """

    _signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "GracefulStop":
        self._before = {number: signal.signal(number, self._record) for number in self._signals}
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
