"""What an interpreter of programs is: numba's or numpy's; see `choose_interpreter`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interpreter:
    """Runs the operations of a program on a block of images, in one workspace. Starts no threads.

    infer: images (n, C, H, W) float32 → out (n, classes); n is at most the images of the plan.
    infer_bytes: images (n, H, W, C) uint8, each byte through its channel's table, float32 (C, 256).
        Both take (work, images, table, sources, logits, out, shapes, operations, numbers, offsets,
        coefficients, clips); see `MemoryPlan`.
    block_images: most images of a block, a power of two.
    workspace_bytes: a block has fewer images where its workspace would be larger.
    """

    infer: Callable[..., Any]
    infer_bytes: Callable[..., Any]
    block_images: int
    workspace_bytes: int
