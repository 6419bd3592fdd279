"""`dstbench.compare`: two finished networks on the same test images."""

from collections.abc import Sequence
from pathlib import Path

from dstbench.api.given_paths import optional_path, paths
from dstbench.api.result import Result
from dstbench.comparison.finished_runs import ComparedRuns, compare_runs


def compare(
    a: Result | str | Path,
    b: Result | str | Path,
    *,
    plugins: Sequence[str | Path] = (),
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
) -> ComparedRuns:
    """Compare two finished runs image by image, by McNemar's exact test.

    a, b: results, run folders, or records.
    plugins: Python files that the runs' pipeline needs.
    data_root, cache: where the dataset is, for its labels.

    `.result` has the difference in percentage points, its interval and p; it is about two networks,
    not two methods: for those, `dstbench compare A B` trains pairs of seeds until it is decided.

    Raises UserError for runs on different images, and for one that is not finished.
    """
    first, second = (str(one.path if isinstance(one, Result) else one) for one in (a, b))
    return compare_runs(
        first,
        second,
        optional_path("data_root", data_root),
        optional_path("cache", cache),
        paths(plugins),
    )
