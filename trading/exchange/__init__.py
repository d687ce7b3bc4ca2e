"""The paper exchange, and the broker's risk management over it."""
