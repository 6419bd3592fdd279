"""The file that `dstbench deploy --web` adds to a deployment."""

from typing import TYPE_CHECKING

from dstbench.deployment.extra import Extra, ExtraFiles
from dstbench.deployment.runtime.program import Program
from dstbench.deployment.web.render import Fact, render
from dstbench.deployment.web.samples import first_test_images
from dstbench.deployment.web.wasm import WebAssembly, web_assembly
from dstbench.utils.printable import utf8

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

PAGE = "network.html"


class WebExtra(Extra):
    """Writes a network as one web page that runs it on test images."""

    def files(self, program: Program, network: "TrainedNetwork") -> ExtraFiles:
        compiled = web_assembly(program)
        samples, missing = first_test_images(network, self.data_root, self.cache)
        page = utf8(render(program, compiled, _facts(program, network, compiled), samples))
        return ExtraFiles({PAGE: page}, notes=(missing,) if missing else ())


def _facts(program: Program, network: "TrainedNetwork", compiled: WebAssembly) -> list[Fact]:
    about, cost = program.about, network.record["cost"]
    accuracy = about["accuracy"]
    return [
        Fact(
            "Sparsity",
            f"{100 * about['sparsity']:.5g} %",
            f"of {cost['prunable_weights']:,} weights",
        ),
        Fact(
            "Live weights",
            f"{cost['live_weights']:,}",
            f"{len(program.weights):,} carry the picture to a class",
        ),
        Fact("WebAssembly", f"{len(compiled.module) / 1000:,.1f} kB", "all code and weights"),
        Fact(
            "Test accuracy",
            "unknown" if accuracy is None else f"{accuracy:.4g} %",
            f"seed {about['seed']}, {about['epoch']}",
        ),
    ]
