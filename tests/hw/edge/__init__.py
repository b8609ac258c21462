"""Benches and proofs of the edge unit."""
