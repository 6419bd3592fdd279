"""A compiled network as one web page, with its C code as WebAssembly."""
