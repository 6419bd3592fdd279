"""The device of a run: its choice, its name, CPU threads and precision."""

import torch

from dstbench.errors import UserError
from dstbench.training.distributed.process_group import ALONE, ProcessGroup

# Forward pass of a batch, MACs. A ResNet-20 on 8×8 digits has 2e8: with two threads a run takes as
# long as with one on an idle machine, and several times as long on a busy one.
SMALL_STEP_MACS = 1e9


def choose_device(name: str, group: ProcessGroup = ALONE) -> torch.device:
    """Return the device of that name; 'auto' is a GPU where there is one, else the CPU.

    group: several processes on a machine get one GPU each.

    Raises UserError for a device that is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not group.alone and name != "cpu":
        if name != "cuda":
            raise UserError(
                f"--device {name}: several processes take one GPU each. Use cuda or cpu."
            )
        name = f"cuda:{group.local_rank}"
    try:
        device = torch.device(name)
        if device.type == "mps":
            raise RuntimeError("it has no float64, in which losses and live paths are summed.")
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("networks are not trained there.")
        torch.empty(0, device=device)
        if device.index is not None and device.type == "cuda":
            torch.cuda.set_device(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason} Use auto, cpu or cuda.") from None
    return device


def device_name(device: torch.device) -> str:
    """Return the name of the accelerator as its maker gives it, or 'cpu'."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def set_threads(count: int | None) -> None:
    """Set the number of CPU threads that torch uses; None leaves its default.

    Raises UserError for fewer than 1 or more than 4096.
    """
    require_threads(count)
    if count is not None:
        torch.set_num_threads(count)


def require_threads(count: int | None) -> None:
    """Raise UserError for fewer than 1 or more than 4096 threads; None is the default."""
    if count is not None and not (isinstance(count, int) and 1 <= count <= 4096):
        raise UserError(f"--threads {count}: must be at least 1 and at most 4096.")


def limit_threads(step_macs: int) -> None:
    """Take one thread where a step is so small that threads would mostly wait for each other.

    step_macs: of the forward pass of a batch.
    """
    if step_macs < SMALL_STEP_MACS:
        torch.set_num_threads(1)


def default_precision(device: torch.device) -> str:
    """Return 'bf16' where the hardware multiplies it natively, else 'fp32'."""
    return "bf16" if computes_bf16(device) else "fp32"


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bf16, so that it is more than emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Private. A test fails by these names on a torch without them.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(
        getattr(torch.cpu, check, lambda: False)() for check in checks
    )
