"""How well orders were executed: pure functions of what was recorded."""
