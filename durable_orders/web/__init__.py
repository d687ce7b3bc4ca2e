"""The desk: a page, an API and hooks for alerts over the client and the ledger's reading side."""
