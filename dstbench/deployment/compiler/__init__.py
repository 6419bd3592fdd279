"""Compiles a network to a program: trace → fold → emit."""
