"""Every table and figure of both papers beside what is measured here."""
