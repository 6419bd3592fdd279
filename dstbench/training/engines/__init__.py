"""What computes a network's forward and backward passes, behind one interface."""
