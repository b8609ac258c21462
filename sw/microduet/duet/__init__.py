"""Models that are split between a user's device and the datacentre (Duet, DAC 2024): descriptions, splits, integers."""
