"""A finished network compiled to a program: trace, fold, emit."""
