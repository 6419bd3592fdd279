"""The promises every method keeps, as checks that any plug-in can run."""
