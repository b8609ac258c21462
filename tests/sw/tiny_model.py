"""A model that is built in seconds, and two that are refused; tests give this file to the command line."""

import torch


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.users, self.items = torch.nn.Embedding(50, 4), torch.nn.Embedding(400_000, 6)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1), torch.nn.Sigmoid()
        )

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([self.users(sparse[:, 0]), self.items(sparse[:, 1])], 1))


class Odd(Tiny):
    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        return torch.tanh(super().forward(sparse))


def empty() -> int:
    return 3
