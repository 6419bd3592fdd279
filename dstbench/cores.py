"""How many processors there are to use; standard library only."""

import os


def cores() -> int:
    """Those this process may use; all there are where the system cannot say, as on macOS."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
