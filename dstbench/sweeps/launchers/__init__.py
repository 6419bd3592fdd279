"""Launchers carry out the runs of a sweep: local processes, Ray or Slurm."""
