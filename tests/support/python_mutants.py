"""Which small faults in the software its tests would miss: ``python -m tests.support.python_mutants GROUP [--keep]``.

mutmut draws the mutants: an operator, a number, a text, an argument or an assignment is another. pytest collects a
group's tests once; every test, and then every mutant with the tests that enter its function, runs in a process forked
from there, so that none sees what another has cached. A mutant is killed if a test fails or its time is over.
"""

import argparse
import dataclasses
import json
import math
import os
import resource
import signal
import sys
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.support import python_switch
from tests.support.environment import REPOSITORY
from tests.support.python_mutant_record import Record, keep, read_kept, source_hash
from tests.support.python_switch import Mutant

GROUPS = REPOSITORY / "tests" / "data" / "python_mutants.toml"
DRAWN, SEED = 200, 1
"""Mutants of a group, if it has so many, and which, unless its entry says otherwise."""
FIRST_S = 120
"""Seconds of the processor that a test may take."""
SLOWER, SLACK_S, CROWDED = 5, 2, 40
"""A mutant is stopped after so many times its tests' seconds and so many more; by the clock, so many times as late."""
MORE_BYTES = 4 << 30
"""Memory that a mutant may take beyond what its parent has."""
KILLED, LIVES, RAISED = "killed", "lives", "raised"


def groups() -> dict[str, dict[str, Any]]:
    """Files and tests of every group."""
    return tomllib.loads(GROUPS.read_text())


def _limit(cpu_s: float) -> None:
    """Of this process: seconds of the processor, seconds of the clock, memory."""
    whole = math.ceil(cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, CROWDED * cpu_s)
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def forked(call: Callable[[], Any], *, cpu_s: float) -> tuple[Any, float]:
    """What `call` gives in a process of its own, as JSON carries it, and its seconds.

    `RAISED` if it raised something, None if the process was stopped.
    """
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of forks beside threads: those of numerical libraries, which are idle here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        try:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            _limit(cpu_s)
            os.write(sender, json.dumps(call()).encode())
        except BaseException:  # such as a test's request to leave pytest
            os.write(sender, json.dumps(RAISED).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        said = pipe.read()
    usage = os.wait4(pid, 0)[2]
    return json.loads(said) if said else None, usage.ru_utime + usage.ru_stime


def fails(items: Sequence[pytest.Item]) -> bool:
    """Run tests until one fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return True
    return False


@dataclass(kw_only=True)
class Judge:
    """A plugin of pytest that takes the place of its loop over the tests.

    Members
    -------
    drawn : what to judge
    verdicts : of each that was judged, by its key: killed, lives, or the seconds after which it was stopped
    bad : tests that fail without a mutant
    """

    drawn: Sequence[Mutant]
    verdicts: dict[str, str] = field(default_factory=dict[str, str])
    bad: list[str] = field(default_factory=list[str])
    tests: int = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every test alone, then every mutant."""
        self.tests = len(session.items)
        entering: dict[str, list[tuple[float, pytest.Item]]] = {}
        for item in session.items:
            found, seconds = forked(lambda item=item: [fails([item]), sorted(python_switch.entered())], cpu_s=FIRST_S)
            if found in (None, RAISED) or found[0]:
                self.bad.append(item.nodeid)
                continue
            print(f"{seconds:6.2f} s  {item.nodeid}", flush=True)
            for function in found[1]:
                entering.setdefault(function, []).append((seconds, item))
        if not self.bad:
            for mutant in self.drawn:
                self._judge(mutant, sorted(entering.get(mutant.function, []), key=lambda pair: pair[0]))
        return True

    def _judge(self, mutant: Mutant, judges: Sequence[tuple[float, pytest.Item]]) -> None:
        def run() -> bool:
            python_switch.choose(mutant.key)
            return fails([item for _, item in judges])

        limit = SLOWER * sum(seconds for seconds, _ in judges) + SLACK_S
        failed, seconds = forked(run, cpu_s=limit) if judges else (False, 0.0)
        if failed is None and seconds < limit / 2:  # by the clock: the machine may have stood still
            failed, seconds = forked(run, cpu_s=limit)
        how = f"stopped after {seconds:.0f} s" if failed is None else KILLED if failed else LIVES
        self.verdicts[mutant.key] = how
        print(f"{seconds:6.2f} s  {how:8} {mutant.path.rpartition('/')[2]}: {mutant.said}", flush=True)


def draw(found: Sequence[Mutant], *, most: int, seed: int) -> list[Mutant]:
    """So many of the mutants, the same at every call."""
    chosen = sorted(found, key=lambda one: one.place(seed))[:most]
    return sorted(chosen, key=found.index)


def records(group: str, found: Sequence[Mutant], judge: Judge, seed: int) -> dict[str, Record]:
    """A record per file that has mutants."""
    made: dict[str, Record] = {}
    for path in dict.fromkeys(one.path for one in found):
        drawn = [one for one in judge.drawn if one.path == path]
        said = [judge.verdicts[one.key] for one in drawn]
        made[path] = Record(
            group=group,
            source=source_hash(path),
            seed=seed,
            found=sum(one.path == path for one in found),
            drawn=len(drawn),
            killed=said.count(KILLED),
            timeouts=sum(how not in (KILLED, LIVES) for how in said),
            survivors=[one.said for one in drawn if judge.verdicts[one.key] == LIVES],
        )
    return made


def again(
    before: Mapping[str, Record], now: Mapping[str, Record], judged: Mapping[str, Collection[str]]
) -> dict[str, Record]:
    """Records of before with the verdicts of `now` on those survivors that were `judged` again, in words by file."""
    return {
        path: dataclasses.replace(
            old,
            killed=old.killed + now[path].killed,
            timeouts=old.timeouts + now[path].timeouts,
            survivors=[said for said in old.survivors if said in now[path].survivors or said not in judged[path]],
        )
        for path, old in before.items()
    }


def run_group(name: str, *, most: int, seed: int, survivors: bool = False) -> dict[str, Record]:
    """Draw and judge the mutants of a group; or only those that lived, once tests have been added.

    Raises
    ------
    RuntimeError
        If a test fails without a mutant, none was collected, or a file has changed since its survivors lived.
    """
    group = groups()[name]
    paths = sorted({path for pattern in group["files"] for path in REPOSITORY.glob(pattern)})
    found = python_switch.install(paths)
    drawn, before = draw(found, most=most, seed=seed), dict[str, Record]()
    if survivors:
        before = {path: one for path, one in read_kept().items() if one.group == name}
        if any(one.source != source_hash(path) for path, one in before.items()):
            raise RuntimeError(f"{name}: a file has changed since; draw the group's mutants anew")
        lived = {(path, said) for path, one in before.items() for said in one.survivors}
        # Of those that read alike, it is not known which one lived: they go on living.
        alike = Counter((one.path, one.said) for one in found)
        drawn = [one for one in found if (one.path, one.said) in lived and alike[one.path, one.said] == 1]
    judge = Judge(drawn=drawn)
    files = sorted({str(path) for pattern in group["tests"] for path in REPOSITORY.glob(pattern)})
    without = ["-k", f"not ({group['without']})"] if "without" in group else []
    # No examples that hypothesis draws anew or keeps: they would differ from mutant to mutant.
    os.environ["CI"] = "1"
    pytest.main(["-n", "0", "-q", "-s", "-p", "no:cacheprovider", *without, *files], plugins=[judge])
    if judge.bad or not judge.tests:
        raise RuntimeError(f"{name}: fail without a mutant: {', '.join(judge.bad) or 'no test was collected'}")
    made = records(name, found, judge, seed)
    judged = {path: {one.said for one in drawn if one.path == path} for path in before}
    return again(before, made, judged) if survivors else made


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print what lives, and with --keep write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=sorted(groups()))
    parser.add_argument("--keep", action="store_true", help="write tests/data/python_mutants.json too")
    parser.add_argument("--most", type=int, help="mutants to draw, if there are more; by default what its entry says")
    parser.add_argument("--seed", type=int, help="which are drawn; by default what the group's entry says")
    parser.add_argument("--again", action="store_true", help="judge only what lived, by the tests that there are now")
    options = parser.parse_args(arguments)
    entry = {"most": DRAWN, "seed": SEED} | groups()[options.group]
    most, seed = (entry[name] if vars(options)[name] is None else vars(options)[name] for name in ("most", "seed"))
    made = run_group(options.group, most=most, seed=seed, survivors=options.again)
    for path, record in made.items():
        print(f"{path}: {record.text()}")
        for line in record.survivors:
            print(f"    {line}")
    print(f"{options.group}: {sum(one.noticed for one in made.values())} of {sum(one.drawn for one in made.values())}")
    if options.keep:
        keep(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
