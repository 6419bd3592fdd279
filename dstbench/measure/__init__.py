"""Measures the latency of a finished network in every form it can run in (`dstbench measure`).

benchmark         measures all forms at all batch sizes
measured_network  what is measured: a finished run's network, or a worst case
execution_forms   the forms of the trained network: masked, a method's own, deployed
dense_forms       the forms of the dense network in torch, and (rivals) in other runtimes
latency           interleaved timing: the forms take turns
time_batches      the batch sizes, one after the other, within a budget (budget, time_limit)
progress          what is shown meanwhile
worst_case        a network with every live weight on a path (masks: connected_masks)
"""
