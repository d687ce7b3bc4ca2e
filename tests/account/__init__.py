"""The account, proved: positions that agree with the broker, and an exit that gets out."""
