"""State, Part and Method; masks, budgets, drop-and-grow.

part: what a method's author subclasses. state: what changes during a run. method: a list of parts.
"""
