"""The edge unit from Python: its bundle, its driver, its bench."""
