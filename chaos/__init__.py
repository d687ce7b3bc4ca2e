"""A live account against the sandbox with all its faults, and the proof that no order was doubled, lost or guessed.

`python -m chaos --orders 1000 --faults 500 --seed 7`, or `make chaos ORDERS=1000 FAULTS=500 SEED=7`.
"""
