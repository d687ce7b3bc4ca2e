"""News out: what happens, told to people wherever they are."""
