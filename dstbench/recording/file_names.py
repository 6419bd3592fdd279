"""Names of the files in a run folder."""

RECORD = "record.json"  # the record, see types.Record
CONFIG = "run.gin"  # the resolved configuration; running it repeats the run
CURVES = "curves.jsonl"  # one types.EpochLine per finished epoch that a checkpoint covers
FINAL_NETWORK = "network.pt"  # the sparse network after the last epoch
BEST_NETWORK = "best.pt"  # the sparse network with the best validation accuracy
FINAL_WEIGHTS = "network.safetensors"  # of the final network, where the record has no room for them
BEST_WEIGHTS = "best.safetensors"  # the same of the best network, where the protocol shows it
CHECKPOINTS = ("checkpoint.0.pt", "checkpoint.1.pt")  # two generations; removed at the end
LOCK = "lock"  # held by the process that works on the run; contains its pid and machine
LOG = "log.txt"  # output of the run, when a sweep started it
MLFLOW_RUN = "mlflow.json"  # the MLflow run that mirrors this one
MIRROR_LOG = "mirror.log"  # output of the mirror's process
MIRROR_LOCK = "mirror.lock"  # held during one pass of the mirror


def epoch_network(epoch: int | str) -> str:
    """Return the file of the network after an epoch; 0 is before the first step."""
    return f"epoch-{epoch}.pt"
