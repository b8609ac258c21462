"""Settings of all tests."""

import os

from hypothesis import settings

# Examples compile or simulate on a shared machine: a deadline would measure the neighbours.
settings.register_profile("local", deadline=None)
# In CI a change must not fail for examples drawn by chance; the nightly run draws new ones.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
