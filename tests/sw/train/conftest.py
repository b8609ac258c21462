"""One thread: the tests' models are small, and two workers share the machine."""

from collections.abc import Iterator

import pytest

from microduet.train.threads import using_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with using_threads(1):
        yield
