"""What a trade costs, and what a contract is worth."""
