"""Optimizers of masked networks; their interface is dstbench.core.sparse_optimizer.

settings: what gin configures. sgd_adam: SGD and Adam on live weights only. masked: any torch
optimizer, with dead weights zeroed.
"""
