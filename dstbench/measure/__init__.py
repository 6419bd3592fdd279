"""Measures the latency of a finished network in every form it can run in (`dstbench measure`).

benchmark         measures all forms at all batch sizes
measured_network  what is measured: a finished run's network, or a worst case
execution_forms   the forms: dense, frozen, compiled, masked, a method's own, deployed
latency           interleaved timing: the forms take turns
worst_case        a network with every live weight on a path (masks: connected_masks)
"""
