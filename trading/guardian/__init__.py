"""The guardian: nothing is placed that it has not approved."""
