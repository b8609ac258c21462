"""Plans: which tables are joined, and where every row of every table lies (docs/planner.md)."""
