"""Duet's hardware unit: scratchpad, running sums, memoisation register, user model."""
