"""Run folders mirrored to MLflow, which can neither stop nor stall a run."""
