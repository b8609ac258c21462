"""The tests run on all cores already: torch's own threads would only get in their way."""

import torch

torch.set_num_threads(1)
