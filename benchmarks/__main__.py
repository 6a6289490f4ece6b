"""Measure the package beside other libraries: ``make bench``, or ``python -m benchmarks``.

    make bench                           all groups, about 12 minutes on two quiet cores
    make bench ONLY="training sine"      these groups; the results of the others stay

Writes benchmarks/results.json after each group. A part of it is measured anew only on the
machine and with the versions of the rest; else all of it has to be.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from typing import Any

from . import machine
from .goals import FILE, all_goals, load, rows
from .suite import GROUPS
from .turns import PAUSE, measure

COMMAND = "make bench"


def kept(about: dict[str, object], only: list[str]) -> dict[str, Any]:
    """Return the stored groups that a partial run leaves; refuse those of another machine."""
    if not only:
        return {}
    stored = load()
    if stored["machine"] != about:
        differ = [key for key in about if stored["machine"].get(key) != about[key]]
        raise SystemExit(f"{FILE.name} differs in {', '.join(differ)}: measure all, without ONLY")
    groups: dict[str, Any] = stored["groups"]
    return groups


def rounded(answer: Any) -> Any:
    """Return an answer with four digits of every number that is not whole."""
    if isinstance(answer, dict):
        return {key: rounded(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(value) for value in answer]
    return float(f"{answer:.4g}") if isinstance(answer, float) else answer


def run(name: str, rounds: int | None) -> dict[str, Any]:
    """Measure a group; return its answers and how they were made."""
    start, group = time.perf_counter(), GROUPS[name]
    found = rounded(measure(group, rounds))
    took = time.perf_counter() - start
    print(f"{took:6.1f} s  {name}", flush=True)
    return {
        "date": datetime.date.today().isoformat(), "threads": group.threads,
        "rounds": min(rounds or group.rounds, group.rounds), "took": round(took), "answers": found,
    }  # fmt: skip


def store(about: dict[str, object], groups: dict[str, Any]) -> None:
    """Write the results, groups in the suite's order."""
    ordered = {name: groups[name] for name in GROUPS if name in groups}
    found = {"command": COMMAND, "dtype": "float32", "pause": PAUSE, "machine": about, "groups": ordered}
    FILE.write_text(as_text(found))


def as_text(results: dict[str, Any]) -> str:
    """Return results as indented JSON, with each list and each inner table on one line."""
    def lines(value: Any, indent: str) -> str:
        nested = isinstance(value, dict) and any(isinstance(v, dict) for v in value.values())
        if not nested and len(text := json.dumps(value, ensure_ascii=False)) < 4000:
            return text
        inner = [f'{indent} {json.dumps(k)}: {lines(v, indent + " ")}' for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"

    return lines(results, "") + "\n"


def report(groups: dict[str, Any]) -> None:
    """Print the goals, if all groups are there."""
    if missing := [name for name in GROUPS if name not in groups]:
        print(f"not measured yet: {', '.join(missing)}")
        return
    table = rows(all_goals({"groups": groups}))
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], choices=GROUPS, metavar="GROUP",
                        help=f"one or more of: {', '.join(GROUPS)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="turns of each subject, from 2 to those of the suite")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 2:
        parser.error(f"--rounds expected at least 2, for a spread, got {options.rounds}")
    about = machine.describe()
    groups = kept(about, options.only)
    for name in options.only or GROUPS:
        groups[name] = run(name, options.rounds)
        store(about, groups)
    report(groups)
    print(f"{FILE.parent.name}/{FILE.name} is written; `make notebooks` brings the page up to date")


if __name__ == "__main__":
    sys.exit(main())
