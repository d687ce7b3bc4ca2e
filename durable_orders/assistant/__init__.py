"""An MCP server: assistants read the account, and propose orders that a person has to approve."""
