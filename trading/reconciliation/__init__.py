"""The broker's book and the ledger side by side."""
