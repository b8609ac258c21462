"""What the tests of the software share."""

import numpy as np
import pytest
import torch

# The tests run on all cores already: torch's own threads would only get in their way.
torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same at every run."""
    return np.random.default_rng(11)
