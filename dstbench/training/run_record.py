"""The record of a run in progress: its description at the start, its results at the end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dstbench.config import interactive
from dstbench.config.identity import Resolved
from dstbench.config.resolved_text import read_resolved
from dstbench.config.suite_methods import other_parts
from dstbench.core.prunable import Unpruned
from dstbench.core.state import State
from dstbench.data.images import Dataset
from dstbench.data.protocols import PROTOCOLS
from dstbench.metrics.collapse import is_collapsed, majority_class_fraction
from dstbench.recording import record, session_history
from dstbench.recording.plugin_packages import used_packages
from dstbench.recording.provenance import collect_provenance
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.run_summary import override_text
from dstbench.recording.types import (
    EngineName,
    Override,
    Provenance,
    Record,
    SessionEntry,
    Status,
)
from dstbench.training.device import device_name
from dstbench.training.final_evaluation import FinalResults
from dstbench.training.progress import Reporter
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.session import Session
from dstbench.training.settings import Run


@dataclass(frozen=True)
class Start:
    """The network with which a session begins.

    sparsity: measured, in [0, 1].
    unpruned: weights that are never pruned.
    initial_weights_sha256: see `initial_weights`.
    """

    sparsity: float
    unpruned: Unpruned
    initial_weights_sha256: str


class RunRecord:
    """Fills in a run's record and writes it to the run's folder.

    content: the record, as in record.json.
    """

    def __init__(
        self,
        run: Run,
        resolved: Resolved,
        dataset: Dataset[Any],
        options: RuntimeOptions,
        session: Session,
        start: Start,
        folder: RunFolder,
        reporter: Reporter,
        engine: EngineName = "torch",
    ):
        """Describe a run that begins or resumes; start: its network, engine: of this session."""
        self.run, self.session, self.folder = run, session, folder
        earlier_record = folder.record()
        earlier = earlier_record["provenance"] if earlier_record else None
        history = earlier.get("history", []) if earlier and session.resumed else []
        provenance = _provenance(resolved, dataset, options, len(history) + 1, earlier)
        provenance["packages"] = used_packages(resolved.text)
        provenance["initial_weights_sha256"] = start.initial_weights_sha256
        entry = session_history.session_entry(provenance, session.started, engine)
        _report_changes(history, entry, reporter)
        provenance["history"] = [*history, entry]
        for reason in _unpublishable(provenance, resolved.text):
            reporter.note(f"The record of this run cannot be published on a leaderboard: {reason}.")
        self.content: Record = record.new(
            method=run.method.name,
            dataset=dataset.name,
            model=run.model.__name__,
            recipe=run.recipe,
            protocol=run.protocol,
            precision=run.precision,
            seed=run.seed,
            sparsity={
                "asked": run.method.sparsity,
                "measured": start.sparsity,
                "effective": None,
                "unpruned": start.unpruned.sizes,
                "unpruned_fraction": start.unpruned.fraction,
            },
            config={"text": resolved.text, "sha256": resolved.sha256},
            provenance=provenance,
        )
        overrides: list[Override] = [
            {"binding": o.binding, "method": o.method, "recipe": o.recipe}
            for o in resolved.overrides
        ]
        if not overrides and earlier_record:  # a run.gin no longer names its recipe's file
            overrides = earlier_record.get("overrides", [])
        self.content["overrides"] = overrides
        if run.method.dense_to_sparse:
            self.content["dense_to_sparse"] = True
        for override in overrides:
            reporter.note(f"Recipe {run.recipe}: {override_text(override)}.")

    def begin(self) -> None:
        """Write the record of a running run, and its configuration."""
        self.folder.write_record(self.content)
        self.folder.write_config(self.content["config"]["text"])

    def set_status(self, status: Status, error: str | None = None) -> None:
        self.content |= {"status": status, "error": error}

    def end(self, steps: Mapping[str, int]) -> None:
        """Write the record with the time at which the session ended.

        steps: engine → training steps that it computed in this session.
        """
        provenance = self.content["provenance"]
        provenance |= {
            "ended": time.time(),
            "train_seconds": self.session.seconds(),
            "engine_steps": self.session.steps(steps),
        }
        provenance["history"][-1]["engine_steps"] = {n: s for n, s in steps.items() if s}
        self.folder.write_record(self.content)

    def add_results(self, results: FinalResults, state: State) -> None:
        """Fill in the results of a run that trained to its end."""
        final, at_best, health = results.final, results.at_best, results.health
        self.content |= {
            "status": "finished",
            "sparsity": {
                **self.content["sparsity"],
                "measured": results.sparsity,
                "effective": health["effective_sparsity"],
            },
            "accuracy": {
                "test_final": final.accuracy,
                "test_at_best_val": at_best and at_best.accuracy,
                "best_val": state.best.get("val_accuracy"),
                "best_epoch": state.best.get("epoch"),
                "live_at_best": results.live_at_best,
                "val_final": state.curves[-1]["val_accuracy"],
                "shown": PROTOCOLS[self.run.protocol].shown,
                "selected_on_test": results.selected_on_test,
            },
            "cost": results.cost,
            "health": {
                **health,
                "collapsed": is_collapsed(
                    health["live_path_share"],
                    final.accuracy,
                    majority_class_fraction(results.test_labels),
                    len(results.test_labels),
                ),
            },
            "predictions": results.predictions,
            "network": results.network,
        }
        if results.network_at_best is not None:
            self.content["network_at_best_val"] = results.network_at_best
        if final.top5 is not None:
            self.content["accuracy"] |= {
                "test_final_top5": final.top5,
                "test_at_best_val_top5": at_best and at_best.top5,
            }


def _unpublishable(provenance: Provenance, text: str) -> Iterator[str]:
    """Yield each reason why a leaderboard will not take the run's record, with what to do.

    text: the run's resolved configuration.
    """
    if provenance["commit"] is None:
        yield "dstbench has no commit. Install it from a git checkout"
    elif any(session["dirty"] for session in provenance["history"]):
        yield "the code differs from its commit. Commit it, and start over"
    if interactive.IMPORT in text.splitlines():
        yield "a class of it is in a notebook or script. Put it in a file, and load it as a plugin"
    if problem := other_parts(read_resolved(text).bindings):
        yield f"{problem}. Set another Method.name, such as --set \"Method.name='mine'\""


def _provenance(
    resolved: Resolved,
    dataset: Dataset[Any],
    options: RuntimeOptions,
    number: int,
    earlier: Provenance | None,
) -> Provenance:
    """Return the provenance of a session; number: 1 for the first; earlier: that of the record."""
    provenance = collect_provenance(
        command=options.command,
        device=device_name(options.device),
        threads=torch.get_num_threads(),
        dataset_sha256=dataset.sha256,
        sessions=number,
        before=earlier,
    )
    provenance |= {
        "processes": options.group.size,
        "sync_batch_norm": options.sync_batch_norm,
        "plugins": session_history.plugin_hashes(options.plugins, resolved.text),
    }
    if dataset.notes:
        provenance["dataset_notes"] = list(dataset.notes)
    return provenance


def _report_changes(
    history: Sequence[SessionEntry], entry: SessionEntry, reporter: Reporter
) -> None:
    """Report what changed since the session before."""
    if history and (changes := session_history.differences(history[-1], entry)):
        reporter.note(
            f"Changed since the last session: {', '.join(changes)}. The result may differ from "
            "that of a run that was never interrupted; the record keeps this."
        )
