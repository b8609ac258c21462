"""What a user would otherwise run: the models in PyTorch on this processor, every variant tried, the best one named."""
