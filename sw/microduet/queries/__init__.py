"""Queries: edge unit, link and engine as one system."""
