"""The rules of the trade, in plain Python. Nothing in here knows Temporal."""
