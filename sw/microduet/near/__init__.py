"""Near-memory processing at the datacentre, as in Duet's Figure 13."""
