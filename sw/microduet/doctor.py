"""`microduet doctor`: which tools are there, which are missing, and what installs them."""

import json as json_text

from microduet_sim import tools


def report(findings: list[tools.Finding]) -> list[dict[str, str | bool | None]]:
    """One row per tool: name, version, path, what it is needed for, whether it was found, what installs it."""
    return [
        {
            "tool": finding.tool.name,
            "version": finding.version,
            "path": str(finding.path) if finding.path else None,
            "needed_for": finding.tool.purpose,
            "need": finding.tool.need,
            "found": finding.found,
            "install": None if finding.found else finding.tool.install,
        }
        for finding in findings
    ]


def _print_table(findings: list[tools.Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("tool", "version", "needed for", "status", "install with"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        tool = finding.tool
        missing = "[yellow]missing, optional" if tool.need == "optional" else "[red]missing"
        table.add_row(
            tool.name,
            finding.version or "",
            tool.purpose,
            "[green]found" if finding.found else missing,
            "" if finding.found else tool.install,
        )
    Console().print(table)


def main(*, json: bool) -> int:
    """Print what was found, as a table or as one JSON object; 1 if something is missing that every run needs."""
    findings = [tools.find(tool.name) for tool in tools.TOOLS]
    if json:
        print(json_text.dumps({"tools": report(findings)}))
    else:
        _print_table(findings)
    return int(any(not finding.found and finding.tool.need == "run" for finding in findings))
