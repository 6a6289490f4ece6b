"""The public names, the API page and its examples agree."""

import doctest
import importlib
import re
from pathlib import Path

import lstm

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book/reference/api.md"
MODULES = {f"lstm.{path.stem}" for path in (ROOT / "lstm").glob("*.py") if path.stem != "__init__"}
DOCUMENTED = re.findall(r"automodule:: (lstm\.\w+)", PAGE.read_text())


def test_every_module_is_on_the_page_once():
    assert sorted(DOCUMENTED) == sorted(MODULES)


def test_every_public_name_is_defined_in_a_documented_module():
    for name in lstm.__all__:
        assert getattr(lstm, name).__module__ in DOCUMENTED, name
    assert lstm.__all__ == sorted(lstm.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))


def test_the_list_of_public_names_is_complete():
    assert set(lstm.__all__) <= set(dir(lstm))
    for name in lstm.__all__:
        getattr(lstm, name)  # some are loaded by this
    exported = {n for n, v in vars(lstm).items() if getattr(v, "__module__", "").startswith("lstm.")}
    assert exported == set(lstm.__all__)


def test_each_module_has_an_example_that_runs():
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    without = []
    for section in sections:
        module = re.search(r"automodule:: (lstm\.\w+)", section)
        text = re.sub(r"^```.*$", "", section, flags=re.M)  # a fence is no output
        examples = parser.get_doctest(text, {}, section.split("\n")[0], str(PAGE), 0)
        if module and not examples.examples:
            without.append(module[1])
        runner.run(examples)
    assert without == []
    assert runner.summarize(verbose=False).failed == 0


def test_modules_import_alone():
    for name in sorted(MODULES - {"lstm.plotting"}):
        importlib.import_module(name)
