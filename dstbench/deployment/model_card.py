"""The model card of a deployed network: accuracy, cost, provenance, how to load it."""

import shlex
from collections.abc import Mapping

from dstbench.deployment.runtime.program import About
from dstbench.recording.run_summary import COLLAPSED
from dstbench.recording.types import Record
from dstbench.recording.uncounted import uncounted_text, unpruned_text
from dstbench.utils.listed import times


def model_card(
    record: Record, about: About, files: Mapping[str, str], more: Mapping[str, str]
) -> str:
    """Return the card in markdown.

    record: of the run.
    about: description of the network.
    files: name → what it holds.
    more: further rows of its table, name → value.
    """
    accuracy, cost, provenance = record["accuracy"], record["cost"], record["provenance"]
    title = f"{about['method']} · {about['model']} · {about['dataset']}"
    dense, uncounted = unpruned_text(record["sparsity"]), uncounted_text(cost)
    rows = {
        "sparsity": f"{_percent(100 * about['sparsity'])} ({cost['live_weights']:,} of "
        f"{cost['prunable_weights']:,} weights)",
        "test accuracy": f"{_percent(about['accuracy'])} ({about['epoch']})",
        **({"collapsed": COLLAPSED} if record["health"]["collapsed"] else {}),
        "MACs of one image": f"{cost['macs']:,} of {cost['dense_macs']:,} dense",
        **({"MACs not counted": uncounted} if uncounted else {}),
        **({"never pruned": dense} if dense else {}),
        **more,
        "input": f"{times(about['image_shape'])} (channels × height × width)",
        "classes": str(len(about["classes"])),
        "recipe, protocol, seed": f"{record['recipe']}, {record['protocol']}, {record['seed']}",
        "validated best": _percent(accuracy["best_val"]),
        "commit": str(provenance["commit"]),
        "configuration": f"sha256 {record['config']['sha256']}",
        "command": f"`{shlex.join(map(str, provenance['command']))}`",
    }
    lines = [f"# {title}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", "## Files", ""]
    lines += [f"- `{name}`: {content}" for name, content in files.items()]
    if "network.dst" in files:
        lines += ["", _LOADING]
    mean = ", ".join(f"{m:.6g}" for m in about["mean"])
    std = ", ".join(f"{s:.6g}" for s in about["std"])
    lines += ["", f"Normalisation: (pixel / 255 − mean) / std, mean ({mean}), std ({std}).", ""]
    return "\n".join(lines)


_LOADING = """## Loading

    pip install 'PATH/TO/dstbench/dstbench/deployment/runtime_wheel[fast]'

<!-- -->

    from dstbench_runtime import load

    network = load("network.dst")
    logits = network(images)   # uint8 (n, height, width, channels) → float32 (n, classes)
    names = [network.classes[i] for i in logits.argmax(1)]

No torch is needed: numpy, and numba for speed. Where dstbench is installed,
`from dstbench.deployment import load` is the same. Images that are already normalised are given as
float32 (n, channels, height, width)."""


def _percent(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.6g} %"
