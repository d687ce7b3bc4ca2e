"""Processes: they build the real parts, run the workers, and keep the embedded server."""
