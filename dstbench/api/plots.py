"""One run's curves as a figure, for a notebook."""

import io

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_PANELS = (
    ("loss", (("train_loss", "training"), ("val_loss", "validation"))),
    ("accuracy, %", (("train_accuracy", "training"), ("val_accuracy", "validation"))),
    ("live weights on a path", (("live_path_share", "fraction"),)),
)


class NotebookFigure(Figure):
    """A figure that a notebook shows, whether or not pyplot is imported there."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=60)
        return buffer.getvalue()


def plot_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Return a figure with a panel each for loss, accuracy and live paths.

    curves: as `Result.curves` returns them.
    """
    figure = NotebookFigure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots(1, len(_PANELS))
    for one, (label, series) in zip(axes, _PANELS, strict=True):
        for column, name in series:
            if column in curves and curves[column].notna().any():
                one.plot(curves.index, curves[column].astype(float), label=name)
        one.set(xlabel="epoch", title=label)
        one.grid(alpha=0.3)
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(series) > 1 and one.lines:
            one.legend()
    axes[0].set_yscale("log")  # a validation loss by running averages may jump by orders
    axes[-1].set_ylim(-0.03, 1.03)
    figure.suptitle(title)
    return figure
