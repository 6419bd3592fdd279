"""Loads and runs a compiled network. Needs numpy; runs faster with numba.

Modules here, and those that they need, import each other relatively: they are also distributed
under another name, by `../runtime_wheel`.
"""
