"""A block on the devices of several hosts."""
