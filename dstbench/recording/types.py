"""Types of a record, its sections and the lines of its curves.

Units, unless a field states another: accuracies in percent (0 to 100), sparsities and other
fractions in [0, 1], times in Unix seconds, durations in seconds, MACs of one input.
"""

from typing import Any, Literal, NotRequired, TypedDict, get_args

EngineName = Literal["torch", "native"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
OverStatus = Literal["finished", "diverged"]  # nothing will change any more
Status = Literal["running", "interrupted", "failed"] | OverStatus


class Sparsity(TypedDict):
    """Fractions of the original network's prunable weights."""

    asked: float  # target of the method; 0 for a dense network
    measured: float  # fraction of weights that are dead
    effective: float | None  # also counting live weights on no path; equals measured where a dense
    # offset connects every weight (DCTpS); None until the run finished
    # Trainable weights that are never pruned, each with its elements, and their fraction of all
    # weights, embeddings apart; older records have those of two or more dimensions, or none.
    unpruned: NotRequired[dict[str, int]]
    unpruned_fraction: NotRequired[float]


class Accuracy(TypedDict):
    """Accuracies of a finished run, in percent."""

    test_final: float  # test images, network after the last epoch
    test_at_best_val: float | None  # test images, network of best_epoch; None without such an epoch
    best_val: float | None  # highest validation accuracy
    best_epoch: int | None  # epoch of best_val, from 1
    live_at_best: NotRequired[int | None]  # live weights of best_epoch's network; within the budget
    val_final: float  # validation images, after the last epoch
    shown: Literal["test_final", "test_at_best_val"]  # the one that the protocol reports
    selected_on_test: bool  # whether the validation images are the test images
    test_final_top5: NotRequired[float]  # with more than ten classes
    test_at_best_val_top5: NotRequired[float | None]  # with more than ten classes


class LayerCost(TypedDict):
    """Cost of one prunable tensor."""

    name: str  # of the parameter
    shape: list[int]  # of the parameter
    live: int  # live weights
    size: int  # all weights
    uses: int  # calls of a layer function with this tensor, in one forward pass
    positions: int  # multiplications by each weight for one input, over all uses
    macs: int  # of live weights and the dense offset
    offset_macs: NotRequired[int]  # part of macs for the dense offset; absent in older records
    dense_macs: int  # if every weight were live, without the dense offset


class CostTotals(TypedDict):
    """Cost of a whole network."""

    macs: int  # of live weights and dense offsets
    dense_macs: int  # if every weight were live, without dense offsets
    offset_macs: NotRequired[int]  # part of macs for dense offsets; absent in older records
    flops: int  # 2 × macs
    dense_flops: int  # 2 × dense_macs
    live_weights: int  # each tensor once; a paper's "theoretical" storage
    stored_weights: int  # zeros included, each tensor once; a paper's "GPU-supported" storage
    prunable_weights: int  # of the original network: the denominator of sparsity
    apparent_weights: int  # live weights, counted at every use
    training_only_parameters: NotRequired[int]  # elements; absent in older records
    deployed_bytes: NotRequired[int]  # estimated file size, bytes; absent in older records
    training_flops: NotRequired[int]  # of all steps and images of the run; absent without a run
    dense_training_flops: NotRequired[int]  # the same for the original network, dense


class Cost(CostTotals):
    """Cost of a whole network and of each layer."""

    layers: list[LayerCost]  # in the order of the model's parameters
    left_out: dict[str, int]  # parameter that is never pruned → elements
    uncounted: NotRequired[dict[str, int]]  # product that is not in macs → calls; absent for none
    unpruned: NotRequired[dict[str, int]]  # as in Sparsity; absent for none
    unpruned_fraction: NotRequired[float]
    unused: list[str]  # prunable tensors with uses = 0; their MACs, if any, are missing


class CostReport(Cost):
    """Output of `dstbench cost --json`."""

    method: str
    model: str
    dataset: str
    recipe: str
    seed: int
    image_shape: list[int]  # (channels, height, width)
    classes: int
    sparsity: dict[Literal["asked", "measured"], float]


class Health(TypedDict):
    """State of a sparse network, on a fixed batch of training images in eval mode."""

    grad_norm: float | None  # L2 norm of the loss gradient over prunable weights, dead included
    grad_norm_reason: NotRequired[str]  # why it and grad_norm_live are None
    grad_norm_live: float | None  # the same over live weights
    positive_preactivations: float | None  # fraction of activation inputs above zero
    positive_preactivations_reason: NotRequired[str]  # why it is None
    live_path_share: float | None  # fraction of live weights on an input-to-logits path
    live_path_share_reason: NotRequired[str]  # why it is None
    effective_sparsity: float | None  # 1 − (weights on a path) / (prunable weights)
    effective_sparsity_reason: NotRequired[str]  # why it is None
    sparsity: float  # measured: 1 − (live weights) / (prunable weights)
    exploration: float  # ITOP's exploration rate R_s
    layers_grad_norm: dict[str, float]  # tensor → grad_norm
    layers_grad_norm_live: dict[str, float]  # tensor → grad_norm_live
    layers_positive: dict[str, float]  # activation module → positive_preactivations
    layers_live: dict[str, int]  # tensor → live weights
    live_zeros: NotRequired[int]  # live weights that are exactly zero; absent in older records
    layers_live_zeros: NotRequired[dict[str, int]]  # tensor → live_zeros
    live_channels: NotRequired[float]  # fraction of output channels that have a live weight
    health_images: NotRequired[int]  # images of the batch, where they are not 512
    # With the native engine: the norm of the live gradient on the first images in training mode
    batch_grad_norm_live: NotRequired[float]
    layers_batch_grad_norm_live: NotRequired[dict[str, float]]  # masked tensor → the same


class FinalHealth(Health):
    """State of a finished network."""

    collapsed: bool  # no live path, or test accuracy at chance


class TrainMeters(TypedDict):
    """Means over the training batches of one epoch."""

    train_loss: float
    train_accuracy: float  # percent


class EpochLine(TrainMeters, Health):
    """One line of curves.jsonl."""

    epoch: int  # from 1
    step: int  # optimizer steps done
    time: float  # Unix seconds, at the end of the epoch
    val_loss: float
    val_accuracy: float  # percent
    val_top5: NotRequired[float]  # percent; with more than ten classes
    learning_rate: float  # of the epoch's last step


class Config(TypedDict):
    """Configuration of a run."""

    text: str  # resolved gin text
    sha256: str  # of the text, hex


class Override(TypedDict):
    """A setting of the method's file that the recipe replaced."""

    binding: str  # such as "RigL.update_interval"
    method: Any  # value in the method's file: a number, text, None or list; else gin text
    recipe: Any  # the recipe's value, with which the run trained


class SessionEntry(TypedDict):
    """One start of a run: the part of its provenance that can change the last bits of a result."""

    started: float  # Unix seconds
    versions: dict[str, str]  # package → version
    device: str  # accelerator name, or "cpu"
    cpu: str | None  # processor name
    threads: int  # CPU threads of torch
    processes: int  # of the process group
    commit: str | None  # git commit of the code
    dirty: bool | None  # whether the code differs from the commit
    engine: NotRequired[EngineName]  # 'native' steps through torch where it must; absent: 'torch'
    engine_steps: NotRequired[dict[str, int]]  # engine → steps of a session that ended by itself


class PluginPackage(TypedDict):
    """An installed package that provides a class which the run uses."""

    version: str | None  # of the distribution
    sha256: str  # of its Python and gin files, hex


class Provenance(TypedDict):
    """Where a result comes from; a value that cannot be determined is None."""

    versions: dict[str, str]  # package → version
    platform: str  # operating system
    device: str  # accelerator name, or "cpu"
    cpu: str | None  # processor name
    threads: int  # CPU threads of torch
    commit: str | None  # git commit of the code
    dirty: bool | None  # whether the code differs from the commit
    command: list[str]  # command line without passwords and folders
    started: float  # Unix seconds, of the first session
    ended: float | None  # Unix seconds, of the last session; None while it runs
    train_seconds: float | None  # all sessions together; None until a session ended
    sessions: int  # how many times the run was started
    attempt: str  # random id, kept when the run resumes and new with --fresh
    dataset_sha256: str  # of the decoded images, hex
    dataset_notes: NotRequired[list[str]]  # what was chosen of the dataset's folder, if anything
    initial_weights_sha256: NotRequired[str]  # before the first masks, hex; absent in older records
    processes: NotRequired[int]  # of the process group
    sync_batch_norm: NotRequired[bool]  # whether batch statistics span all processes
    plugins: NotRequired[dict[str, str]]  # plugin file, or module that it imports → sha256
    packages: NotRequired[dict[str, PluginPackage]]  # distribution → plugin package in use
    history: NotRequired[list[SessionEntry]]  # one entry per session
    engine_steps: NotRequired[dict[str, int]]  # engine → training steps that it computed


class Predictions(TypedDict):
    """Predicted classes of the test images, encoded by recording.predictions.

    In the order of the dataset's test images; for CIFAR the canonical order of `data`.
    """

    test: str  # by the final network
    classes: int  # number of classes
    at: Literal["final"]  # the network that `test` is of
    test_at_best_val: NotRequired[str]  # by the network of best_epoch; absent without one


class StoredNetwork(TypedDict):
    """A finished network in a record; see recording.stored_network."""

    sha256: str  # of the file, hex
    bytes: int  # size of the file
    data: NotRequired[str]  # the file as base64, if it is small; else `file`
    file: NotRequired[str]  # name of the file in the run folder


class Record(TypedDict):
    """Content of record.json.

    Until a run has finished, `accuracy`, `cost` and `health` are empty: check `status` first.
    """

    schema: int
    method: str
    dataset: str
    model: str
    recipe: str
    protocol: str
    precision: str  # "fp32" or "bf16"
    seed: int
    status: Status
    error: str | None  # why it diverged or failed
    sparsity: Sparsity
    accuracy: Accuracy
    cost: Cost
    health: FinalHealth
    config: Config
    provenance: Provenance
    predictions: NotRequired[Predictions]  # of a finished run
    network: NotRequired[StoredNetwork]  # of a finished run
    network_at_best_val: NotRequired[StoredNetwork]  # where the protocol shows test_at_best_val
    dense_to_sparse: NotRequired[bool]  # present if training had more live weights than the end
    overrides: NotRequired[list[Override]]  # absent where the recipe is not known any more
