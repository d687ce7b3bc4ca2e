"""Zerodha Kite. Its words are known in here only."""
