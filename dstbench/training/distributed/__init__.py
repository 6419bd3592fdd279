"""One run on several processes: the process group, averaged gradients, equal masks."""
