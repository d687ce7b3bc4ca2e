"""Recorded ticks and candles, read as their sources write them: containers, columns, rows, a report."""
