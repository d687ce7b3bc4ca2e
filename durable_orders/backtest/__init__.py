"""What `durable-orders backtest` does: plays a strategy in one process and reports on it."""
