"""Progress in a notebook: one output that is updated, with a bar and the last epoch."""

import html
import sys
import time

from dstbench.recording.types import EpochLine
from dstbench.training.progress import Reporter, epoch_text

_EVERY_S = 0.5  # between two updates of the bar


def in_notebook() -> bool:
    """Return whether this process is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookReporter(Reporter):
    """Shows progress below the cell; notes are printed."""

    def __init__(self, quiet: bool = False):
        super().__init__(quiet=quiet)
        self._handle = None
        self._total, self._step, self._line, self._shown = 1, 0, "", 0.0

    def note(self, text: str) -> None:
        print(text, flush=True)

    def start(self, step: int, total_steps: int) -> None:
        from IPython.display import HTML, display

        self._total, self._step = total_steps, step
        if not self.quiet:
            self._handle = display(HTML(self._html()), display_id=True)

    def step(self, step: int) -> None:
        self._step = step
        if time.monotonic() - self._shown > _EVERY_S:
            self._show()

    def epoch(self, line: EpochLine, epochs: int, seconds: float) -> None:
        self._line = epoch_text(line, epochs, seconds)
        self._show()

    def stop(self) -> None:
        self._show()

    def _show(self) -> None:
        if self._handle is not None:
            from IPython.display import HTML

            self._handle.update(HTML(self._html()))
        self._shown = time.monotonic()

    def _html(self) -> str:
        share = self._step / self._total
        return (
            f"<progress value='{self._step}' max='{self._total}' style='width:20em'></progress> "
            f"{share:.0%} &nbsp; <code>{html.escape(self._line)}</code>"
        )
