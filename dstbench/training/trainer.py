"""Trains one run to its end: the loop, and what happens between its steps.

The loop itself knows no files: checkpoints, curves, reports and signals are handled here.
"""

import math
import time

from dstbench.core.method import Method
from dstbench.core.packing import pack_network
from dstbench.core.state import State
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.metrics.collapse import CollapseDetector
from dstbench.metrics.training_cost import TrainingCost
from dstbench.models.live_convolutions import forward_context
from dstbench.recording.file_names import epoch_network
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.types import EpochLine, Record
from dstbench.sparsity import live_total
from dstbench.training import checkpoint
from dstbench.training.checkpoint_policy import CheckpointPolicy
from dstbench.training.dead_weights import refuse_nonzero_dead
from dstbench.training.distributed.data_parallel import data_parallel
from dstbench.training.divergence import Diverged, refuse_divergence
from dstbench.training.engines.engine import Engine
from dstbench.training.epoch_health import EpochHealth
from dstbench.training.epoch_meters import Meters
from dstbench.training.evaluation import evaluate
from dstbench.training.final_evaluation import evaluate_final, network_content
from dstbench.training.loop import train
from dstbench.training.progress import Reporter
from dstbench.training.run_record import RunRecord
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.utils.signals import GracefulStop, Interrupted


class Trainer:
    """Drives one training run; call `fit`.

    run: its settings.
    state: where training begins or resumes; changed in place.
    loaders: its images.
    record: its record, filled in at the end.
    folder: where its files go.
    options: device, processes and checkpoint interval.
    reporter: prints progress.
    engine: computes the steps.
    """

    def __init__(
        self,
        run: Run,
        state: State,
        loaders: DataLoaders,
        record: RunRecord,
        folder: RunFolder,
        options: RuntimeOptions,
        reporter: Reporter,
        engine: Engine,
    ):
        self.run, self.state, self.loaders, self.record = run, state, loaders, record
        self.folder, self.group, self.reporter = folder, options.group, reporter
        self.autocast = forward_context(run.precision, options.device)
        self.engine = engine
        self.health = EpochHealth(run, state, engine, loaders, self.autocast)
        self.meters = Meters(state.memory)
        self.checkpoints = CheckpointPolicy(options.checkpoint_seconds)
        train_labels = loaders.dataset.train.labels[loaders.split.train]
        self.collapse = CollapseDetector(train_labels, loaders.split.val.labels)
        self.selects_epoch = PROTOCOLS[run.protocol].selects_epoch
        self.final_structure_step = run.method.final_structure_step(state.total_steps)
        self.stop = GracefulStop()
        self._epoch_began = time.monotonic()

    def fit(self) -> Record:
        """Train the remaining steps and return the record of the finished or diverged run.

        Raises Interrupted after a signal, with everything saved.
        """
        self.record.begin()
        self.folder.write_curves(self.state.curves)
        self.reporter.start(self.state.step, self.state.total_steps)
        if self.state.step == 0:
            self._keep(epoch=0)
        with self.stop:  # until the record is written
            try:
                self._train()
                results = evaluate_final(
                    self.run,
                    self.state,
                    self.loaders,
                    self.folder,
                    self.record.content["config"]["text"],
                    self.engine,
                    self.autocast,
                    self.group,
                )
                self.record.add_results(results, self.state)
            except Diverged as error:
                self.record.set_status("diverged", str(error))
                self.folder.write_curves(self.state.curves)  # no checkpoint covers the last ones
            except BaseException as error:
                if isinstance(error, Interrupted) or self.stop.received is not None:
                    self.record.set_status("interrupted")
                else:
                    self.record.set_status("failed", f"{type(error).__name__}: {error}")
                raise
            finally:
                self.reporter.stop()
                self.record.end(self.engine.steps)
        if self.group.first:
            checkpoint.remove(self.folder.path)
        return self.record.content

    def _train(self) -> None:
        """Train the remaining steps, then save."""
        plan = self.loaders.training.plan
        counted = TrainingCost(self.run.method, self.state, plan.size_at)
        parts = data_parallel((self.run.method, counted), self.group, plan.weight_at)
        method = Method(self.run.method.name, parts)
        train(
            self.state,
            method,
            self.engine,
            self.loaders.training,
            self.run.rate_at,
            self._after_epoch,
            self._after_step,
        )
        self._save()

    # --- between steps --------------------------------------------------------------------------

    def _after_step(self, state: State) -> None:
        """Report the step; save when a checkpoint is due or a signal has come, then stop."""
        self.reporter.step(state.step)
        if not self.group.is_sync_step(state.step):
            return
        due = self.group.first and self.checkpoints.due()
        signal, save = self.group.all_reduce_max((self.stop.received or 0, due))
        if signal or save:
            self._save()
        if signal:  # of any process
            raise Interrupted(signal)

    def _save(self) -> None:
        """Write a checkpoint, and the curves that it covers. Raises Diverged if training has."""
        state = self.state
        self.engine.push_back_()
        self.meters.all_reduce_(self.group.all_reduce_sum)
        refuse_divergence(state)
        with self.checkpoints.timed_save():
            if self.group.first:
                session = self.record.session
                payload = {
                    "state": state.state_dict(),
                    "seconds": session.seconds(),
                    "engine": self.engine.name,
                    "device": self.loaders.device.type,
                    "engine_steps": session.steps(self.engine.steps),
                }
                checkpoint.save(self.folder.path, payload)
                self.folder.write_curves(state.curves)
            else:
                self.meters.reset_()  # the first process has them

    def _after_epoch(self, state: State) -> None:
        """Measure the epoch, and keep the network if its validation accuracy is the best so far."""
        self.engine.push_back_()
        self.meters.all_reduce_(self.group.all_reduce_sum)
        refuse_divergence(state)
        refuse_nonzero_dead(state, self.run.method)
        self.group.broadcast_(state.model.buffers())  # each process has its own batch-norm averages
        line = self._measure(state)
        self._keep(line["epoch"])
        state.curves.append(line)
        best = state.best.get("val_accuracy", -1.0)
        if self._is_candidate(state) and line["val_accuracy"] > best:
            network = pack_network(state.model, state.masks)
            state.best = {
                "epoch": line["epoch"],
                "val_accuracy": line["val_accuracy"],
                "network": network,
            }
        now = time.monotonic()
        self.reporter.epoch(line, self.run.epochs, now - self._epoch_began)
        self._epoch_began = now
        if message := self.collapse.check(state.curves):
            self.reporter.note(message)

    def _keep(self, epoch: int) -> None:
        """Write the network to a file of its own, if it is to be kept after this epoch."""
        if epoch in self.run.kept_epochs and self.group.first:
            content = network_content(
                self.state, self.loaders, self.record.content["config"]["text"]
            )
            self.folder.write_network(epoch_network(epoch), content)

    def _is_candidate(self, state: State) -> bool:
        """Return whether the network may become the best: as plain and as sparse as the final one.

        Its live weights are counted, so that a part that declares nothing cannot have a network
        chosen that is denser than the method's sparsity allows.
        """
        method = self.run.method
        budget = live_total(method.sparsity, state.dense_numel)
        is_sparse = method.over_budget or state.masks.total() <= budget
        return self.selects_epoch and is_sparse and state.step >= self.final_structure_step

    def _measure(self, state: State) -> EpochLine:
        """Return the epoch's line of the curves. Raises Diverged for a validation loss of NaN."""
        epoch = state.step // self.loaders.training.plan.steps_per_epoch
        meters = self.meters.read_and_reset_()
        validation = self.loaders.validation(epoch)
        scores = evaluate(self.engine, validation, self.group.all_reduce_sum)
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
            **self.health.measure(epoch),
        }
        if scores.top5 is not None:
            line["val_top5"] = scores.top5
        return line
