"""Optimizers of masked networks; their interface is dstbench.core.optimizer_interface.

settings: what gin configures. decay_groups: parameters without weight decay. sgd_adam: SGD and Adam
on live weights only. torch_wrapper: any torch optimizer, with dead weights zeroed.
"""
