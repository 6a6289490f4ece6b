"""The README's programs run, one after the other, and print what the README says they print."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_ten_lines_and_the_three_print_what_stands_below_them():
    programs = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", README, re.S)
    names = {}
    for (program, output), most in zip(programs, (10, 3), strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        assert printed.getvalue() == output
        statements = [line for line in program.splitlines() if line.strip() and not line.startswith(" ")]
        assert len(statements) <= most
    assert README.count("```python") == len(programs)


def test_every_file_the_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r'src="([^":]+)"', README)
    assert links
    for link in links:
        assert (Path(__file__).parents[1] / link).exists(), link


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)", README, re.M)
    assert commands == ["book", "test"]
    for target in commands:
        assert re.search(rf"^{target}:", makefile, re.M)
