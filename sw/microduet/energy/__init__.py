"""Energy of a query: what was counted times what an event costs."""
