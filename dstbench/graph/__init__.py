"""A network as a list of steps: what one forward pass calls, recorded."""
