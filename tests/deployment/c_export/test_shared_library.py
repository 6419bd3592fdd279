"""A network's C that cannot be called on this machine."""

import pytest
from helpers.c_networks import described
from helpers.deploy_networks import IMAGE, random_net

from dstbench.deployment.c_export import c_extra
from dstbench.deployment.c_export.shared_library import SharedLibrary
from dstbench.deployment.c_export.toolchain import Compiler
from dstbench.deployment.compiler.compile import compile_network
from dstbench.errors import UserError


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo nonsense > network.so", r"cannot be loaded \(network\.so: .*TMPDIR"),
        ("echo an error >&2; exit 1", "sh does not compile the network's C: an error"),
    ],
)
def test_library_that_cannot_be_had_is_reported(script, words):
    source = c_extra.c_source(compile_network(random_net(0), IMAGE, described()))
    with pytest.raises(UserError, match=words):
        SharedLibrary(source, Compiler("sh", ("sh", "-c", script)))
