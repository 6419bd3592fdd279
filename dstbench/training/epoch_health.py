"""Health after every epoch; with the native engine, what needs torch is measured less often."""

import math

from dstbench.core.state import State
from dstbench.data.loaders import DataLoaders
from dstbench.metrics import health
from dstbench.metrics.known_paths import KnownPaths
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.precision import Autocast
from dstbench.recording.types import Health
from dstbench.training.engines.engine import Engine
from dstbench.training.engines.native_engine import NativeEngine
from dstbench.training.settings import Run

# On a ResNet-34 of 99.99 %, gradients of 64 images through torch cost as much as 80 native steps:
# every 10 epochs of 351 steps, a fortieth of the run.
_NATIVE_EVERY = 10  # epochs between measurements through torch
_NATIVE_IMAGES = 64  # of the health batch, with the native engine


class EpochHealth:
    """Measures health at the end of an epoch.

    run: its `dense_health_every` sets how often torch is used.
    state: the run's State.
    engine: of the run.
    loaders: of its images.
    autocast: makes the context in which torch computes.

    In the other epochs, gradients and pre-activations of the evaluation mode are None. With the
    native engine, each epoch has the norms of live gradients in training mode.
    """

    def __init__(
        self, run: Run, state: State, engine: Engine, loaders: DataLoaders, autocast: Autocast
    ):
        self.state, self.loaders, self.autocast = state, loaders, autocast
        self.native = engine if isinstance(engine, NativeEngine) else None
        default = 1 if self.native is None else _NATIVE_EVERY
        self.every, self.epochs = run.dense_health_every or default, run.epochs
        # The native engine compiles networks whose structure alone decides what they compute.
        self.find_paths = find_live_paths if self.native is None else KnownPaths().find

    def measure(self, epoch: int) -> Health:
        """Return the health after an epoch, counted from 1."""
        images, labels = self.loaders.health_batch()
        if self.native is not None:
            images, labels = images[:_NATIVE_IMAGES], labels[:_NATIVE_IMAGES]
        if epoch % self.every == 0 or epoch == self.epochs:
            found = health.measure(self.state, images, labels, self.autocast, self.find_paths)
        else:
            reason = f"measured every {self.every} epochs (Run.dense_health_every)"
            found = health.measure_masks(self.state, reason, self.find_paths)
        if self.native is not None:
            found["health_images"] = len(images)
            if (gradients := self.native.live_gradients(images, labels)) is not None:
                norms = {name: health.norm(gradient) for name, gradient in gradients.items()}
                found["batch_grad_norm_live"] = math.hypot(*norms.values())
                found["layers_batch_grad_norm_live"] = norms
        return found
