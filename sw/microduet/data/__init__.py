"""Click logs: the data sets of this field and a generated one whose best possible AUC is known."""
