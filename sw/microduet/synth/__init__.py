"""What a unit takes of a card, counted by open synthesis: module by module, then summed over instances."""
