"""The tool finder: where programs are, and what is said of one that is missing."""

import os
import subprocess

import pytest

from microduet_sim import tools


def _hide(monkeypatch, name):
    """Make one tool missing, for this test."""
    shown = tools.find.__wrapped__

    def find(wanted):
        finding = shown(wanted)
        return tools.Finding(tool=finding.tool, path=None, version=None) if wanted == name else finding

    monkeypatch.setattr(tools, "find", find)


@pytest.mark.parametrize("name", ["verilator", "g++", "make", "perl", "yowasp-sby", "yices-smt2"])
def test_finds_programs_without_an_active_environment(monkeypatch, name):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    finding = tools.find.__wrapped__(name)
    assert finding.path is not None
    assert os.access(finding.path, os.X_OK)
    assert finding.version
    assert finding.version[0].isdigit()


def test_takes_verilator_from_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    environment = tools.verilator_environment()
    answer = subprocess.run(["verilator", "--version"], env=environment, capture_output=True, text=True, check=True)
    assert "rev" in answer.stdout  # the packaged program does not know its number
    assert environment["PATH"].startswith(environment["VERILATOR_ROOT"])


@pytest.mark.parametrize(("name", "command"), [("verilator", "make setup"), ("iverilog", "make setup-system")])
def test_missing_tool_names_the_command_that_installs_it(monkeypatch, name, command):
    _hide(monkeypatch, name)
    with pytest.raises(tools.MissingToolError, match=f"{name} not found.*: {command}$"):
        tools.require(name)


def test_missing_compiler_is_found_before_verilator_starts(monkeypatch):
    _hide(monkeypatch, "g++")
    with pytest.raises(tools.MissingToolError, match=r"g\+\+ not found"):
        tools.verilator_environment()


def test_unknown_tool_is_an_error():
    with pytest.raises(KeyError):
        tools.find("no-such-tool")
