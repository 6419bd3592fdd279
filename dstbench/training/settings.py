"""The settings of one training run, which gin configures."""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Literal

from torch import nn

from dstbench.config.registry import register
from dstbench.core.method import Method
from dstbench.core.random_generators import seed_all
from dstbench.core.schedules import Schedule
from dstbench.data.images import Shape
from dstbench.data.preprocessing import Pipeline
from dstbench.data.protocols import PROTOCOLS
from dstbench.errors import UserError, did_you_mean, require
from dstbench.models.build import build_model
from dstbench.optim.settings import OptimizerSettings
from dstbench.sparsity import UNPRUNED_FRACTION
from dstbench.training.starting_network import StartingNetwork


@register("run")
class Run:
    """Settings of one run; together with the versions and the device they decide its result.

    dataset: id of a dataset (`dstbench list datasets`); its folder is no part of a run.
    model: class of the network; the run supplies num_classes, in_channels and image_size.
    method: the method, a list of parts.
    optimizer: optimizer settings, with the peak learning rate.
    pipeline: how images are cropped, flipped and normalised.
    epochs: passes over the training images.
    batch_size: images a step.
    lr_schedule: factor on the peak learning rate, a function of progress; None for a constant rate.
    protocol: how the training set is split and which accuracy counts.
    split_seed: of that split.
    seed: of everything else: weights, masks, order, augmentation.
    precision: 'bf16' (autocast, fp32 weights) or 'fp32'.
    train_images: use only so many training images, of a random subset that split_seed fixes; None
        for all.
    unpruned_fraction: largest fraction of the weights (biases, normalisation and embeddings
        apart) that may be of a kind that is not pruned; 1 for any. Beyond it the run is
        refused: the sparsity that it reports would not be that of the network.
    recipe: name of the recipe that these settings come from.
    label_smoothing: share of the target that is divided among all classes, in [0, 1); the loss is
        cross-entropy. Accuracies and the validation loss do not depend on it.
    microbatches: parts in which the gradient of a batch is computed, one after another, so that
        less memory is needed; batch norm normalises each part by itself.
    start: the network of another run that this one begins with; None for initial weights and the
        method's first masks. `dstbench run --from` sets it.
    kept_epochs: after which epochs the network is kept, as `epoch-N.pt` in the run's folder; 0 is
        before the first step. No part of the identity.
    engine: what computes the steps: 'torch', 'native' (live weights alone, on a CPU), or 'auto',
        the one that is expected to be faster. No part of the run's identity; the record has it.
    dense_health_every: epochs between measurements of health that need the gradients of dead
        weights; None for 1 with torch and 10 with the native engine. No part of the identity.
    """

    omitted_at_default: ClassVar[tuple[str, ...]] = ("label_smoothing", "microbatches", "start")
    not_identity: ClassVar[tuple[str, ...]] = ("kept_epochs", "engine", "dense_health_every")

    def __init__(
        self,
        dataset: str,
        model: type[nn.Module],
        method: Method,
        optimizer: OptimizerSettings,
        pipeline: Pipeline,
        epochs: int,
        batch_size: int,
        lr_schedule: Schedule | None = None,
        protocol: str = "strict",
        split_seed: int = 0,
        seed: int = 0,
        precision: Literal["bf16", "fp32"] = "fp32",
        train_images: int | None = None,
        unpruned_fraction: float = UNPRUNED_FRACTION,
        recipe: str = "none",
        label_smoothing: float = 0.0,
        microbatches: int = 1,
        start: StartingNetwork | None = None,
        kept_epochs: Sequence[int] = (),
        engine: Literal["auto", "torch", "native"] = "auto",
        dense_health_every: int | None = None,
    ):
        require(epochs >= 1, self, "epochs", epochs, "at least 1")
        require(batch_size >= 1, self, "batch_size", batch_size, "at least 1")
        allowed = "a fraction in [0, 1)"
        require(0 <= label_smoothing < 1, self, "label_smoothing", label_smoothing, allowed)
        allowed = f"from 1 to the batch size, {batch_size}"
        require(1 <= microbatches <= batch_size, self, "microbatches", microbatches, allowed)
        require(0 <= seed < 2**63, self, "seed", seed, "zero or more, below 2⁶³")
        require(0 <= split_seed < 2**63, self, "split_seed", split_seed, "zero or more, below 2⁶³")
        for epoch in kept_epochs:
            allowed = f"epochs from 0 to Run.epochs, {epochs}"
            require(0 <= epoch <= epochs, self, "kept_epochs", kept_epochs, allowed)
        require(
            train_images is None or train_images >= 1,
            self,
            "train_images",
            train_images,
            "at least 1, or None for all",
        )
        require(
            0 <= unpruned_fraction <= 1,
            self,
            "unpruned_fraction",
            unpruned_fraction,
            "a fraction in [0, 1]",
        )
        require(
            dense_health_every is None or dense_health_every >= 1,
            self,
            "dense_health_every",
            dense_health_every,
            "at least 1 epoch, or None",
        )
        if protocol not in PROTOCOLS:
            raise UserError(
                f"no protocol {protocol!r}.{did_you_mean(protocol, PROTOCOLS)}", "Run.protocol"
            )
        self.dataset, self.model, self.method = dataset, model, method
        self.optimizer, self.lr_schedule, self.pipeline = optimizer, lr_schedule, pipeline
        self.epochs, self.batch_size = epochs, batch_size
        self.protocol, self.split_seed, self.seed = protocol, split_seed, seed
        self.precision, self.train_images, self.recipe = precision, train_images, recipe
        self.unpruned_fraction = unpruned_fraction
        self.label_smoothing, self.microbatches = label_smoothing, microbatches
        self.start, self.kept_epochs = start, tuple(kept_epochs)
        self.engine, self.dense_health_every = engine, dense_health_every

    def rate_at(self, progress: float) -> float:
        """Return the learning rate at a fraction of the run.

        progress: fraction of optimizer steps done, in [0, 1].
        """
        schedule = self._schedule
        return self.optimizer.lr if schedule is None else self.optimizer.lr * schedule(progress)

    @cached_property
    def _schedule(self) -> Schedule | None:
        """The recipe's schedule as the method changes it, made once for all steps."""
        return None if self.lr_schedule is None else self.method.lr_schedule(self.lr_schedule)

    def build_model(self, num_classes: int, image_shape: Shape) -> nn.Module:
        """Return the network with this run's initial weights.

        image_shape: (channels, height, width).

        Raises UserError when it cannot be built, see `models.build.build_model`.
        """
        seed_all(self.seed)
        return build_model(self.model, num_classes, image_shape)
