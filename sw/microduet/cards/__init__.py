"""Models whose tables lie on several simulated cards."""
