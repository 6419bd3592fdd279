"""Where and with what a run happens: everything that does not belong to its identity."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from dstbench.errors import UserError


@dataclass(frozen=True)
class Place:
    """Folders, device, and how the run is kept.

    runs: folder that holds one folder a run. data_root, cache: None for the defaults of data.py.
    tracking: an MLflow URI, None for the default store, or 'off'.
    checkpoint_seconds: time between checkpoints. fresh: start over instead of going on.
    command: what was typed, for the record.
    """

    runs: Path = Path("runs")
    data_root: Path | None = None
    cache: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tracking: str | None = None
    checkpoint_seconds: float = 60.0
    fresh: bool = False
    command: tuple[str, ...] = ()


def choose_device(name: str) -> torch.device:
    """'auto' is a GPU where there is one. Raises UserError for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError("networks are not trained there.")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason} Use auto, cpu or cuda.") from None
    return device


def default_precision(device: torch.device) -> str:
    """bf16 where the hardware multiplies it natively, else fp32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = device.type == "cpu" and any(
            getattr(torch.cpu, check, lambda: False)() for check in checks
        )
    return "bf16" if native else "fp32"
