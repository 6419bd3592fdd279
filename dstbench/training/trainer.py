"""One run on this machine, from settings to a finished record: started, or gone on with.

The training loop knows nothing of files; this is where it meets them: data in, checkpoints and
curves out, the record at every turn, signals between two steps.
"""

import math
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dstbench.config.identity import Resolved
from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_, pack_network
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.data.images import Dataset
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.metrics import health
from dstbench.metrics.collapse import CollapseDetector, is_collapsed, majority_class_fraction
from dstbench.metrics.cost import cost, training_only_parameters
from dstbench.models.precision import autocast_for
from dstbench.records import record, session_history
from dstbench.records.file_names import BEST_NETWORK, FINAL_NETWORK
from dstbench.records.provenance import collect_provenance
from dstbench.records.run_folder import RunFolder
from dstbench.records.types import EpochLine, Provenance, Record, SessionEntry
from dstbench.training import checkpoint
from dstbench.training.build import new_state
from dstbench.training.checkpoint import load_
from dstbench.training.distributed.data_parallel import DataParallelMethod, align_
from dstbench.training.divergence import Diverged, refuse_divergence
from dstbench.training.evaluation import Scores, evaluate
from dstbench.training.loop import train
from dstbench.training.meters import clear_meters_, pool_meters_, read_meters_
from dstbench.training.preflight import refuse_small_batches
from dstbench.training.progress import Reporter
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.utils.signals import GracefulStop, Interrupted


class Session:
    """The one run in progress. `go` is all there is to call."""

    def __init__(
        self,
        run: Run,
        resolved: Resolved,
        place: RuntimeOptions,
        folder: RunFolder,
        dataset: Dataset[Any],
        report: Reporter,
    ):
        self.run, self.resolved, self.place = run, resolved, place
        self.folder, self.report, self.ranks = folder, report, place.ranks
        self.started = time.time()
        self.autocast = autocast_for(run.precision, place.device)
        self.dataset = dataset
        self.feed = DataLoaders(run, dataset, place)
        split = self.feed.split
        self.collapse = CollapseDetector(dataset.train.labels[split.train], split.val.labels)
        self.portions = self.feed.training.plan
        self.total_steps = run.epochs * self.portions.steps_per_epoch
        run.method.check(self.total_steps)
        self.settled = run.method.final_structure_step(self.total_steps)

    def go(self) -> Record:
        """Train what is left and return the finished (or diverged) record.

        Raises Interrupted after a signal, with everything saved. Before the first step there is
        nothing to save, and a signal acts at once.
        """
        state = self.build_state()
        self.record = self.describe(state)
        self.folder.write_record(self.record)
        self.folder.write_config(self.resolved.text)
        self.folder.write_curves(state.curves)
        self.last_save, self.save_seconds = time.monotonic(), 0.0
        self.epoch_began = time.monotonic()
        self.report.start(state.step, state.total_steps)
        with GracefulStop() as self.stop:  # until the record is written
            try:
                self.train(state)
                self.finish(state)
            except Diverged as error:
                self.record |= {"status": "diverged", "error": str(error)}
                self.folder.write_curves(state.curves)  # no checkpoint will, and they show why
            except BaseException as error:
                interrupted = isinstance(error, Interrupted) or self.stop.received is not None
                self.record["status"] = "interrupted" if interrupted else "failed"
                self.record["error"] = None if interrupted else f"{type(error).__name__}: {error}"
                raise
            finally:
                self.report.stop()
                self.note_time()
                self.folder.write_record(self.record)
        if self.ranks.first:
            checkpoint.remove(self.folder.path)
        return self.record

    def train(self, state: State) -> None:
        """Run the steps that are left, and save what they came to."""
        method: Part = self.run.method
        if not self.ranks.alone:
            method = DataParallelMethod(method, self.ranks, self.portions.weight_at)
        train(
            state, method, self.feed.training, self.run.rate_at, self.autocast, self.after_epoch,
            self.after_step,
        )  # fmt: skip
        self.save(state)

    # --- building -------------------------------------------------------------------------------

    def build_state(self) -> State:
        """The State to go on from: the newest sound checkpoint, or a new one."""
        run, classes = self.run, len(self.dataset.classes)
        state = new_state(run, classes, self.feed.image_shape, self.total_steps, self.place.device)
        refuse_small_batches(state, self.portions, self.place, self.autocast)
        if self.place.sync_batch_norm:
            state.model = nn.SyncBatchNorm.convert_sync_batchnorm(state.model)
            state.masks = Masks(state.model)
        saved, complaints = checkpoint.load(self.folder.path) if self.ranks.first else (None, [])
        saved = self.ranks.from_first(saved)
        for complaint in complaints:
            self.report.note(complaint)
        if saved is None:
            self.seconds_before, self.sessions = 0.0, 1
            if complaints:
                self.report.note("No sound checkpoint is left: starting over.")
            run.method.init_masks(state)
            state.optimizer = run.optimizer.build(state.model, state.masks)
        else:
            self.seconds_before, self.sessions = saved["seconds"], saved["sessions"] + 1
            load_(state, saved["state"], run, self.folder.path)
            self.report.note(f"Going on at step {state.step} of {state.total_steps}.")
        align_(state, self.ranks, run.seed)
        return state

    def describe(self, state: State) -> Record:
        """The record of a run that is under way."""
        run = self.run
        earlier = self.folder.record()
        before = earlier["provenance"] if earlier else None
        provenance = collect_provenance(
            command=self.place.command,
            device=_device_name(self.place.device),
            threads=torch.get_num_threads(),
            dataset_sha256=self.dataset.sha256,
            sessions=self.sessions,
            before=before,
        )
        provenance |= {
            "processes": self.ranks.size,
            "sync_batch_norm": self.place.sync_batch_norm,
            "plugins": session_history.plugin_hashes(self.place.plugins),
        }
        provenance["history"] = self.noted(before.get("history", []) if before else [], provenance)
        return record.new(
            method=run.method.name,
            dataset=self.dataset.name,
            model=run.model.__name__,
            recipe=run.recipe,
            protocol=run.protocol,
            precision=run.precision,
            seed=run.seed,
            sparsity={"asked": run.method.sparsity, "measured": state.sparsity, "effective": None},
            config={"text": self.resolved.text, "sha256": self.resolved.sha256},
            provenance=provenance,
        )

    def noted(self, earlier: list[SessionEntry], provenance: Provenance) -> list[SessionEntry]:
        """The run's sessions with this one, whose differences from the last are told."""
        session = session_history.session_entry(provenance, self.started)
        if self.sessions == 1:
            return [session]
        if earlier and (differences := session_history.differences(earlier[-1], session)):
            self.report.note(
                f"Not as in the session before: {', '.join(differences)}. The result may differ "
                "from that of a run that was never interrupted; the record says so."
            )
        return [*earlier, session]

    # --- between steps --------------------------------------------------------------------------

    def after_step(self, state: State) -> None:
        self.report.step(state.step)
        if not self.ranks.is_sync_step(state.step):
            return
        # A checkpoint never takes more than 2 % of the time, however large it is.
        wait = max(self.place.checkpoint_seconds, 50 * self.save_seconds)
        due = self.ranks.first and time.monotonic() - self.last_save >= wait
        signal, save = self.ranks.all_reduce_max((self.stop.received or 0, due))
        if signal or save:
            self.save(state)
        if signal:  # of whichever process
            raise Interrupted(signal)

    def save(self, state: State) -> None:
        """Write a checkpoint, and the curves as far as it covers them.

        Raises Diverged instead, if training has.
        """
        pool_meters_(state.memory, self.ranks.all_reduce_sum)
        refuse_divergence(state)
        began = time.monotonic()
        if self.ranks.first:
            payload = {
                "state": state.state_dict(), "seconds": self.seconds(), "sessions": self.sessions
            }  # fmt: skip
            checkpoint.save(self.folder.path, payload)
            self.folder.write_curves(state.curves)
        else:
            clear_meters_(state.memory)  # the first has them
        self.last_save = time.monotonic()
        self.save_seconds = self.last_save - began

    def after_epoch(self, state: State) -> None:
        """Measure what an epoch came to, and keep the network if it is the best so far."""
        pool_meters_(state.memory, self.ranks.all_reduce_sum)
        refuse_divergence(state)
        self.ranks.broadcast_(state.model.buffers())  # batch norm's averages are each process's own
        epoch = state.step // self.portions.steps_per_epoch
        meters = read_meters_(state.memory)
        scores = self.scores(state, self.feed.validation(epoch))
        if not math.isfinite(scores.loss):
            raise Diverged(f"the validation loss is NaN or infinite after epoch {epoch}")
        line: EpochLine = {
            "epoch": epoch,
            "step": state.step,
            "time": time.time(),
            **meters,
            "val_loss": scores.loss,
            "val_accuracy": scores.accuracy,
            "learning_rate": self.run.rate_at((state.step - 1) / state.total_steps),
            **health.measure(state, *self.feed.health_batch(), self.autocast),
        }
        if scores.top5 is not None:
            line["val_top5"] = scores.top5
        state.curves.append(line)
        if state.step >= self.settled and scores.accuracy > state.best.get("val_accuracy", -1.0):
            network = pack_network(state.model, state.masks)
            state.best = {"epoch": epoch, "val_accuracy": scores.accuracy, "network": network}
        now = time.monotonic()
        self.report.epoch(line, self.run.epochs, now - self.epoch_began)
        self.epoch_began = now
        if said := self.collapse.check(state.curves):
            self.report.note(said)

    def scores(self, state: State, batches: Iterable[tuple[Tensor, Tensor]]) -> Scores:
        """Of all processes together, each with its own batches."""
        return evaluate(state.model, batches, self.autocast, self.ranks.all_reduce_sum)

    # --- the end --------------------------------------------------------------------------------

    def finish(self, state: State) -> None:
        """Measure the final network and the best one on the test images, and write both."""
        run, best = self.run, state.best
        training_only = training_only_parameters(state.model)  # gone in the next line
        run.method.finish(state)
        state.masks.parameters = Masks(state.model).parameters
        final = self.scores(state, self.feed.test())
        counted = cost(state.model, state.masks, state.image_shape, state.dense_numel)
        counted["training_only_parameters"] = training_only
        last = health.measure(state, *self.feed.health_batch(), self.autocast)
        measured = state.sparsity
        self.write_network(FINAL_NETWORK, state)
        at_best = None
        if best:
            load_network_(state.model, state.masks, best["network"])
            at_best = self.scores(state, self.feed.test())
            self.write_network(BEST_NETWORK, state)
        labels = self.dataset.test.labels
        chance, share = majority_class_fraction(labels), last["live_path_share"]
        self.record |= {
            "status": "finished",
            "sparsity": {
                "asked": run.method.sparsity,
                "measured": measured,
                "effective": last["effective_sparsity"],
            },
            "accuracy": {
                "test_final": final.accuracy,
                "test_at_best_val": at_best and at_best.accuracy,
                "best_val": best.get("val_accuracy"),
                "best_epoch": best.get("epoch"),
                "val_final": state.curves[-1]["val_accuracy"],
                "shown": PROTOCOLS[run.protocol].shown,
                "selected_on_test": self.feed.split.selected_on_test,
            },
            "cost": counted,
            "health": {
                **last,
                "collapsed": is_collapsed(share, final.accuracy, chance, len(labels)),
            },
        }
        if final.top5 is not None:
            self.record["accuracy"] |= {
                "test_final_top5": final.top5,
                "test_at_best_val_top5": at_best and at_best.top5,
            }

    def write_network(self, name: str, state: State) -> None:
        self.folder.write_network(
            name,
            {
                "network": pack_network(state.model, state.masks),
                "config": self.resolved.text,
                "classes": list(self.dataset.classes),
                "image_shape": list(state.image_shape),
                "mean": list(self.feed.pipeline.mean),
                "std": list(self.feed.pipeline.std),
            },
        )

    def seconds(self) -> float:
        """Time spent on this run so far, all sessions together, as far as checkpoints know."""
        return self.seconds_before + time.time() - self.started

    def note_time(self) -> None:
        self.record["provenance"] |= {"ended": time.time(), "train_seconds": self.seconds()}


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
