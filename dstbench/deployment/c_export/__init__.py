"""A compiled network as C99: tables, an interpreter, and one arena for its planes.

`c_source.c_source` makes the text in float32, `int8_source.int8_source` in int8. `plan` decides the
order of the operations and where each plane is in memory. The interpreter is `types.c`, then
`float32.c` or `int8.c`, then `steps.c`; they are copied as they are. `c_extra` is what
`dstbench deploy --c` adds.
"""
