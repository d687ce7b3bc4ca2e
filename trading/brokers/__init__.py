"""Brokers: the protocol, and what speaks it."""
