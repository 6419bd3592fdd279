"""What a run leaves: its folder, record and provenance; standard library only."""
