"""How fast a finished network is in every form it can be run in: the pieces of `dstbench measure`.

subject.py   what is measured: a finished run's network, or a worst case
forms.py     the ways to run it
timing.py    the clock: forms take turns, so that drift hits all alike
"""
