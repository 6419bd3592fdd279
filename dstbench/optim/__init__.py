"""Optimizers of masked networks; their interface is dstbench.core.optimizer_interface.

settings: what gin configures. sgd_adam: SGD and Adam on live weights only. masked: any torch
optimizer, with dead weights zeroed.
"""
