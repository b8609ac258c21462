"""The command line: exit status, one line of error, and nothing heavy loaded to answer."""

import json
import subprocess
import sys

import pytest

from microduet import cli
from microduet_sim import tools


def _run(*arguments):
    """Exit status of the command line in this process."""
    with pytest.raises(SystemExit) as exit_status:
        cli.main(arguments)
    return exit_status.value.code or 0


@pytest.mark.parametrize("arguments", [["no-such-command"], ["doctor", "--no-such-option"], ["doctor", "3"]])
def test_bad_arguments_are_one_line_and_status_2(capsys, arguments):
    assert _run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("microduet: ")
    assert printed.err.count("\n") == 1


def test_doctor_names_every_tool(capsys):
    assert _run("doctor") == 0
    printed = capsys.readouterr().out
    assert all(tool.name in printed for tool in tools.TOOLS)


def test_doctor_prints_one_json_object(capsys):
    assert _run("doctor", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["tools"]
    assert [row["tool"] for row in rows] == [tool.name for tool in tools.TOOLS]
    assert all(bool(row["install"]) is not row["found"] for row in rows)


@pytest.mark.parametrize(("name", "status"), [("verilator", 1), ("ccache", 0)])
def test_doctor_fails_only_for_what_every_run_needs(monkeypatch, capsys, name, status):
    shown = tools.find

    def find(wanted):
        finding = shown(wanted)
        return tools.Finding(tool=finding.tool, path=None, version=None) if wanted == name else finding

    monkeypatch.setattr(tools, "find", find)
    assert _run("doctor", "--json") == status
    (row,) = [row for row in json.loads(capsys.readouterr().out)["tools"] if row["tool"] == name]
    assert row["install"].startswith("make setup")


def test_starts_without_torch_and_amaranth():
    code = "import sys, microduet.cli; print({'torch', 'amaranth', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
