"""Benches and proofs of the memory side."""
