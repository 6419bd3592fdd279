"""A compiled network as C99: tables, an interpreter, and one arena for its planes.

`c_source.c_source` makes the text. `plane_graph`, `schedule` and `arena` decide the order of the
operations and where each plane is in memory; `float32.c` and `self_test.c` are copied as they are.
"""
