"""The command of the student edition: what is written, and whether it is right.

``python -m lstm_student`` lists the modules in the order of the book.
``python -m lstm_student check gates`` runs the project's tests of one against your package.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import lstm
from lstm_student.modules import MODULES

FOLDER = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if all that was checked is right."""
    parser = argparse.ArgumentParser(
        "python -m lstm_student", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("command", nargs="?", choices=["check"], help="check a module")
    parser.add_argument(
        "modules", nargs="*", metavar="module", help=f"{', '.join(MODULES)}; or all"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.modules if name not in MODULES]
    if unknown:
        print(f"expected a module of {', '.join(MODULES)}; got {unknown[0]!r}")
        return 2
    if not (FOLDER / "tests").is_dir() or Path(lstm.__file__).parents[1] != FOLDER:
        print("run this in the folder of the student edition, which `make student` writes")
        return 2
    try:
        from lstm_student import grade
    except ImportError as error:
        print(
            f"checking needs pytest and hypothesis ({error}): run `pip install pytest hypothesis`"
        )
        return 2
    if options.command is None:
        grade.overview(FOLDER)
        return 0
    return int(not grade.check(FOLDER, options.modules or MODULES))


if __name__ == "__main__":
    sys.exit(main())
