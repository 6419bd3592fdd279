"""dstbench compares ways of training extremely sparse networks."""

__version__ = "0.1.0"
