"""The same work in other engines, each run by a Python of its own with nothing of this project in it."""
