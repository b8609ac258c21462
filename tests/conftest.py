"""Settings of all tests."""

import os
from collections import Counter

import pytest
from hypothesis import settings

# Examples compile or simulate on a shared machine: a deadline would measure the neighbours.
settings.register_profile("local", deadline=None)
# In CI a change must not fail for examples drawn by chance; the nightly run draws new ones.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests come first: theirs are the longest, and the last of them would keep one worker waiting."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))
