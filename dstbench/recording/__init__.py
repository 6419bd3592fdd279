"""What a run leaves in its folder: files, record, provenance; no torch."""
