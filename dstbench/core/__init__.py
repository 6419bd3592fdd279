"""The one idea: State, Part, Method; masks, budgets, drop-and-grow."""
