"""Where the runs of a sweep run: local processes, Ray, Slurm."""
