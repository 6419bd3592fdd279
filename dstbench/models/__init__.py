"""Networks (ResNets), and functions that copy or modify one."""
