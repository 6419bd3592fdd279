"""`python -m dstbench_runtime network.dst IMAGE …`"""

from dstbench_runtime.deployment.runtime.classify import main

main()
