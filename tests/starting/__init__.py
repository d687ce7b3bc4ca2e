"""How the tests start our programs."""
