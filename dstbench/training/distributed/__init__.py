"""One run on several processes: the process group, averaged gradients, compared masks."""
