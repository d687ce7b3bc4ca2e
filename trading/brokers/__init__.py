"""Brokers: the protocol, the words of their books, and what stands behind it."""
