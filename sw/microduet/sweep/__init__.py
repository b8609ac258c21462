"""Sweeps: the same measurement at many points of the design space, on many processes, kept in one file."""
