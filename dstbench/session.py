"""One run on this machine, from settings to a finished record: started, or gone on with.

The training loop knows nothing of files; this is where it meets them: data in, checkpoints and
curves out, the record at every turn, signals between two steps.
"""

import math
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from dstbench import checkpoint, data, health, record
from dstbench.batches import Batches, plain
from dstbench.config import Resolved
from dstbench.cost import cost, training_only_parameters
from dstbench.masks import Masks
from dstbench.packing import load_network_, pack_network
from dstbench.part import State
from dstbench.place import Place
from dstbench.progress import Reporter
from dstbench.protocol import PROTOCOLS, split
from dstbench.run import Run
from dstbench.rundir import BEST, FINAL, RunDirectory
from dstbench.stop import Stop
from dstbench.train import (
    Diverged,
    autocast_for,
    evaluate,
    read_meters_,
    refuse_divergence,
    train,
)

HEALTH_IMAGES = 512  # fixed batch of training images that health is measured on
EVALUATION_BATCH = 512  # images; the size of no consequence but memory and speed


def new_state(
    run: Run,
    num_classes: int,
    image_shape: tuple[int, int, int],
    total_steps: int,
    device: torch.device,
) -> State:
    """A run's State as it is before its first masks: the network built, operated on, on `device`.

    On the device "meta" the network has shapes and no values; what a method adds to it may have.
    """
    by_shape = device.type == "meta"
    with device if by_shape else nullcontext():
        model = run.build_model(num_classes, image_shape)
    state = State(model, image_shape, run.seed, total_steps)
    state.budget = run.method.budget
    run.method.surgery(state)
    if not by_shape:  # moving to "meta" would part tensors that layers share
        state.model = state.model.to(device)
    state.masks = Masks(state.model)  # surgery may have replaced what they refer to
    return state


class Session:
    """The one run in progress. `go` is all there is to call."""

    def __init__(
        self,
        run: Run,
        resolved: Resolved,
        place: Place,
        folder: RunDirectory,
        dataset: data.Dataset,
        report: Reporter,
    ):
        self.run, self.resolved, self.place = run, resolved, place
        self.folder, self.report = folder, report
        self.started = time.time()
        self.autocast = autocast_for(run.precision, place.device)
        self.dataset = dataset
        self.split = split(self.dataset, PROTOCOLS[run.protocol], run.split_seed, run.train_images)
        self.pipeline = run.pipeline.fitted(self.dataset.train, self.split.train)
        self.batches = Batches(
            self.dataset.train, self.pipeline, run.batch_size, run.seed, place.device,
            self.split.train,
        )  # fmt: skip
        self.total_steps = run.epochs * self.batches.steps_per_epoch
        run.method.check(self.total_steps)
        self.settled = run.method.settled_at(self.total_steps)

    def go(self) -> dict[str, Any]:
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
        self.stop = Stop()
        try:
            with self.stop:
                train(
                    state, self.run.method, self.batches, self.run.rate_at, self.autocast,
                    self.after_epoch, self.after_step,
                )  # fmt: skip
                refuse_divergence(state)
                self.save(state)
                self.finish(state)
        except Diverged as error:
            self.record |= {"status": "diverged", "error": str(error)}
            self.folder.write_curves(state.curves)  # no checkpoint will, and they show why
        except BaseException as error:
            interrupted = self.stop.received is not None
            self.record["status"] = "interrupted" if interrupted else "failed"
            self.record["error"] = None if interrupted else f"{type(error).__name__}: {error}"
            raise
        finally:
            self.report.stop()
            self.note_time()
            self.folder.write_record(self.record)
        checkpoint.remove(self.folder.path)
        return self.record

    # --- building -------------------------------------------------------------------------------

    def build_state(self) -> State:
        """The State to go on from: the newest sound checkpoint, or a new one."""
        images = self.dataset.train.pixels
        shape = (images.shape[3], images.shape[1], images.shape[2])
        run, classes = self.run, len(self.dataset.classes)
        state = new_state(run, classes, shape, self.total_steps, self.place.device)
        saved, complaints = checkpoint.load(self.folder.path)
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
            state.load_state_dict(saved["state"], run.optimizer)
            self.report.note(f"Going on at step {state.step} of {state.total_steps}.")
        return state

    def describe(self, state: State) -> dict[str, Any]:
        """The record of a run that is under way."""
        run = self.run
        before = self.folder.record() or {"provenance": {}}
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
            provenance=record.provenance(
                command=self.place.command,
                device=_device_name(self.place.device),
                threads=torch.get_num_threads(),
                dataset_sha256=self.dataset.sha256,
                sessions=self.sessions,
                before=before["provenance"],
            ),
        )

    # --- between steps --------------------------------------------------------------------------

    def after_step(self, state: State) -> None:
        self.report.step(state.step)
        # A checkpoint never takes more than 2 % of the time, however large it is.
        wait = max(self.place.checkpoint_seconds, 50 * self.save_seconds)
        if self.stop.received is not None or time.monotonic() - self.last_save >= wait:
            refuse_divergence(state)
            self.save(state)
        self.stop.raise_if_asked()

    def save(self, state: State) -> None:
        """Write a checkpoint, and the curves as far as it covers them."""
        began = time.monotonic()
        payload = {
            "state": state.state_dict(), "seconds": self.seconds(), "sessions": self.sessions
        }  # fmt: skip
        checkpoint.save(self.folder.path, payload)
        self.folder.write_curves(state.curves)
        self.last_save = time.monotonic()
        self.save_seconds = self.last_save - began

    def after_epoch(self, state: State) -> None:
        """Measure what an epoch came to, and keep the network if it is the best so far."""
        refuse_divergence(state)
        epoch = state.step // self.batches.steps_per_epoch
        meters = read_meters_(state.memory)
        accuracy, loss = evaluate(state.model, self.validation(epoch), self.autocast)
        if not math.isfinite(loss):
            raise Diverged(f"the validation loss is NaN or infinite after epoch {epoch}")
        line = {
            "epoch": epoch,
            "step": state.step,
            "time": time.time(),
            **meters,
            "val_loss": loss,
            "val_accuracy": accuracy,
            "learning_rate": self.run.rate_at((state.step - 1) / state.total_steps),
            **health.measure(state, *self.health_batch(), self.autocast),
        }
        state.curves.append(line)
        if state.step >= self.settled and accuracy > state.best.get("val_accuracy", -1.0):
            network = pack_network(state.model, state.masks)
            state.best = {"epoch": epoch, "val_accuracy": accuracy, "network": network}
        now = time.monotonic()
        self.report.epoch(line, self.run.epochs, now - self.epoch_began)
        self.epoch_began = now
        if line["live_path_share"] == 0 and not self.alarmed(state):
            self.report.note("No path of live weights reaches the logits any more: collapsed.")

    def alarmed(self, state: State) -> bool:
        """Whether an earlier epoch had no live path already."""
        return any(line["live_path_share"] == 0 for line in state.curves[:-1])

    def validation(self, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Validation images as the protocol wants them: plain, or augmented like training ones."""
        if not self.split.val_augmented:
            return self.plain(self.split.val)
        batches = Batches(
            self.split.val, self.pipeline, EVALUATION_BATCH, self.run.seed, self.place.device
        )
        first = epoch * batches.steps_per_epoch
        return (batches.at(first + i) for i in range(batches.steps_per_epoch))

    def plain(self, images: data.Images) -> Iterable[tuple[Tensor, Tensor]]:
        return plain(images, self.pipeline, EVALUATION_BATCH, self.place.device)

    def health_batch(self) -> tuple[Tensor, Tensor]:
        """The same training images in every epoch of every run of this split, unaugmented."""
        chosen = self.split.train[:HEALTH_IMAGES]
        images = data.Images(self.dataset.train.pixels[chosen], self.dataset.train.labels[chosen])
        return next(iter(plain(images, self.pipeline, HEALTH_IMAGES, self.place.device)))

    # --- the end --------------------------------------------------------------------------------

    def finish(self, state: State) -> None:
        """Measure the final network and the best one on the test images, and write both."""
        run, best = self.run, state.best
        training_only = training_only_parameters(state.model)  # gone in the next line
        run.method.finish(state)
        state.masks.parameters = Masks(state.model).parameters
        test_final, _ = evaluate(state.model, self.plain(self.dataset.test), self.autocast)
        counted = cost(state.model, state.masks, state.image_shape, state.dense_numel)
        counted["training_only_parameters"] = training_only
        last = health.measure(state, *self.health_batch(), self.autocast)
        measured = state.sparsity
        self.write_network(FINAL, state)
        test_at_best = None
        if best:
            load_network_(state.model, state.masks, best["network"])
            test_at_best, _ = evaluate(state.model, self.plain(self.dataset.test), self.autocast)
            self.write_network(BEST, state)
        labels = self.dataset.test.labels
        largest_class = max((labels == c).mean() for c in range(len(self.dataset.classes)))
        share = last["live_path_share"]
        self.record |= {
            "status": "finished",
            "sparsity": {
                "asked": run.method.sparsity,
                "measured": measured,
                "effective": last["effective_sparsity"],
            },
            "accuracy": {
                "test_final": test_final,
                "test_at_best_val": test_at_best,
                "best_val": best.get("val_accuracy"),
                "best_epoch": best.get("epoch"),
                "val_final": state.curves[-1]["val_accuracy"],
                "shown": PROTOCOLS[run.protocol].shown,
                "selected_on_test": self.split.selected_on_test,
            },
            "cost": counted,
            "health": {
                **last,
                "collapsed": health.collapsed(share, test_final, largest_class, len(labels)),
            },
        }

    def write_network(self, name: str, state: State) -> None:
        self.folder.write_network(
            name,
            {
                "network": pack_network(state.model, state.masks),
                "config": self.resolved.text,
                "classes": list(self.dataset.classes),
                "image_shape": list(state.image_shape),
                "mean": list(self.pipeline.mean),
                "std": list(self.pipeline.std),
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
