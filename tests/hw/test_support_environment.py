"""A test whose tool is missing fails in CI, and is skipped elsewhere."""

import pytest

from microduet_sim import tools
from tests.support.environment import require_tool


@pytest.fixture
def no_icarus(monkeypatch):
    missing = tools.Finding(tool=tools.find("iverilog").tool, path=None, version=None)
    monkeypatch.setattr(tools, "find", lambda name: missing)


@pytest.mark.usefixtures("no_icarus")
def test_missing_tool_skips_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make setup-system"):
        require_tool("iverilog")


@pytest.mark.usefixtures("no_icarus")
def test_missing_tool_fails_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make setup-system"):
        require_tool("iverilog")


def test_present_tool_is_no_matter():
    require_tool("g++")
