"""Runs a grid: plan, job filter, time estimate, scheduler, display, launchers."""
