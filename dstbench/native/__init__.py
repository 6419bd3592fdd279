"""Training steps that compute with live weights and live channels only, compiled for a CPU."""
