"""One small system for all tests of queries: its bundles and simulators are built once."""

from collections.abc import Iterator

import pytest

from microduet.queries.device import QueryDevice
from tests.support.environment import require_tool
from tests.sw.queries.systems import Small, small_system


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Small:
    require_tool("verilator")
    return small_system(tmp_path_factory.mktemp("queries"))


@pytest.fixture(scope="module")
def device(system: Small) -> Iterator[QueryDevice]:
    with QueryDevice(system.engine) as opened:
        yield opened
