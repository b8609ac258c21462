"""What a user would otherwise run: the models in PyTorch on this processor, many variants tried, the best one named."""
