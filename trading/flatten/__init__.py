"""Flat: which open orders to cancel, which orders close what is held, and when it is done. No I/O and no clock."""
