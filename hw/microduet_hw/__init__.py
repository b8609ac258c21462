"""Gateware: Amaranth components, their integer-exact references, the frozen configurations."""
