"""A live account against the sandbox with all its faults and against its operators, and the proof that no order was
doubled, lost or guessed, and none sent late or after a halt.

`make chaos ORDERS=1000 FAULTS=500 ACTS=300 SEED=7`, or `python -m chaos --orders 1000 --faults 500 --acts 300`;
`--only terminate batch` leaves the other kinds of acts out.
"""
