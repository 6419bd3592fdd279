"""The two compiled functions that Python calls, kept on disk between processes."""

from typing import Any

from dstbench import compiled, native
from dstbench.compiled.kernel_cache import compiled_and_cached, source_hash
from dstbench.native.tasks import run as run_tasks
from dstbench.native.zone_programs import lay_out as lay_out_zones


def _entry_points(version: int) -> tuple[Any, Any]:
    """Return (run, lay_out).

    version: part of numba's cache key, as a variable that both functions close over.
    """

    def run(A, is_backward, me, threads, next_task, done, S):
        version  # noqa: B018
        run_tasks(A, is_backward, me, threads, next_task, done, S)

    def lay_out(P, sheet, lines, forward, backward):
        version  # noqa: B018
        lay_out_zones(P, sheet, lines, forward, backward)

    return compiled_and_cached(run, _nrt=False), compiled_and_cached(lay_out)


# run: as tasks.run. lay_out: as zone_programs.lay_out.
run, lay_out = _entry_points(source_hash(compiled, native))
