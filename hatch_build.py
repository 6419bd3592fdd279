"""Writes the commit that a wheel or source distribution is built from into it.

An installed package has no git checkout; without its commit, its records could not be published.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):
    """Adds `dstbench/_commit.json`; a source distribution without git already has it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # the checkout is asked when a run starts
        sys.path.insert(0, self.root)
        try:
            from dstbench.recording.provenance import COMMIT_FILE, checkout
        finally:
            sys.path.remove(self.root)
        commit, dirty = checkout(Path(self.root))
        if commit is None:
            return
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, COMMIT_FILE)
        path.write_text(json.dumps({"commit": commit, "dirty": dirty}) + "\n")
        build_data["force_include"][str(path)] = f"dstbench/{COMMIT_FILE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()
