"""One run: settings to a network, trained, checkpointed, recorded."""
