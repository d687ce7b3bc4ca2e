"""Measurements, taken as ratios within one run: `python -m bench.durable`, `python -m bench.scale`."""
