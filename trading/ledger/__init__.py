"""The ledger: what the workflows recorded, in SQL. History is the truth; the ledger answers questions."""
