"""The Chinese messages, read from their files: complete, up to date, and true to the English.

What is wrong with a message is found by the functions that `book/translate.py fill` uses. The
last tests plant each fault.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import build
import messages
import translate
from messages import Message, faults, pages, path_of, read_all

NAMES = [messages.SITE, *pages()]


@pytest.mark.parametrize("page", NAMES)
def test_the_translation_is_complete_and_true(page: str) -> None:
    found = translate.check(page, messages.ROOT)
    assert not found, "\n".join(found)


def test_there_are_no_other_files() -> None:
    kept = {path_of(page) for page in NAMES}
    found = set((messages.ROOT / messages.FOLDER).rglob("*.po"))
    assert found <= kept, f"run `make translate`: {sorted(map(str, found - kept))}"


def test_the_site_has_both_languages_on_every_page() -> None:
    site, lost = messages.ROOT / "_build/html", []
    for page in pages():
        up = "../" * page.count("/")
        english = (site / f"{page}.html").read_text()
        chinese = (site / f"zh/{page}.html").read_text()
        whole = '<html lang="en"' in english and '<html lang="zh-CN"' in chinese
        for text, link in [(english, f"{up}zh/{page}.html"), (chinese, f"../{up}{page}.html")]:
            links = text.replace('href="./', 'href="')
            whole &= links.count(f'href="{link}"') >= 2 and 'rel="alternate" hreflang' in text
        lost += [] if whole else [page]
    assert not lost, lost


def test_each_term_stands_once_and_is_used() -> None:
    terms = messages.terms()
    assert len({term.english.lower() for term in terms}) == len(terms)
    assert all(term.english and term.chinese for term in terms)
    glossary = (messages.ROOT / "book/reference/glossary.md").read_text().split("```{glossary}")[1]
    entries = [line for line in glossary.splitlines() if line and line[0] not in " `"]
    missing = {entry.lower() for entry in entries} - {term.english.lower() for term in terms}
    assert len(entries) > 50 and not missing, f"not in {messages.TERMS}: {sorted(missing)}"


# --- the checks themselves ---------------------------------------------------------------

ENGLISH = (
    "The forget gate $f_t$ of {cite:p}`gers2000` keeps **half** in `cell`: see "
    "[the step](step.ipynb), {ref}`the index <genindex>` and 10 values of {kept}."
)
SOUND = (
    "{cite:p}`gers2000` 的遗忘门 $f_t$ 在 `cell` 中保留**一半**：见"
    "[一步](step.ipynb)、{ref}`索引 <genindex>` 和 {kept} 的 10 个值。"
)
PLANTED = [
    ("$f_t$", "$f$", "lacks $f_t$"),
    ("$f_t$", "", "lacks $f_t$"),
    ("`cell`", "`zelle`", "lacks `cell`"),
    ("`cell`", "细胞", "lacks `cell`"),
    ("gers2000", "gers2001", "lacks {cite:p}`gers2000`"),
    ("<genindex>", "<search>", "lacks {ref}`<genindex>`"),
    ("(step.ipynb)", "(cell.ipynb)", "lacks ](step.ipynb)"),
    ("10", "11", "lacks the number 10"),
    ("{kept}", "", "lacks {kept}"),
    ("**一半**", "一半", "lacks **"),
    ("**一半**：", "**“一半”**了", "lacks **"),  # Markdown shows these asterisks
    ("遗忘门", "忘记门", "says forget gate in other words than 遗忘门"),
    ("一半**：", "一半**；`x`", "has `x`, which the English has not"),
    ("的 10 个值。", "的 10 个值.", "after a Chinese character"),
    ("见", "您见", "says 您"),
]


def test_a_sound_translation_has_no_fault() -> None:
    assert faults(ENGLISH, SOUND) == []
    assert faults("Adam", "Adam") == [] and faults("$x$, 3", "$x$, 3") == []
    assert faults("{py:obj}`dy <a.b>`, `I`", "{py:obj}`dy <a.b>`, `I`") == []  # a name is code
    assert "has no Chinese character" in faults("All is well", "All is well")


@pytest.mark.parametrize("old, new, expected", PLANTED)
def test_a_fault_is_found(old: str, new: str, expected: str) -> None:
    assert old in SOUND
    found = faults(ENGLISH, SOUND.replace(old, new))
    assert any(expected in fault for fault in found), found


def test_terms_are_found_whole_in_the_plural_and_the_longest_alone() -> None:
    named = [term.english for term in messages.terms_in("Forget gates, gradients and a delegate")]
    assert named == ["forget gate", "gradient"]


def copy_of_the_book(root: Path) -> None:
    """Put a small book with one page and its messages under a folder."""
    shutil.copy(messages.ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text("root: book/index\nparts:\n- caption: All\n  chapters: []\n")
    (root / "book").mkdir()
    (root / "book/index.md").write_text("# Cells\n\nA cell keeps $c$.\n")
    found = {"Cells": Message(), "A cell keeps $c$.": Message()}
    messages.write(path_of("book/index", root), found, messages.digest("book/index", root))
    site = {text: Message() for text in messages.site_messages(root)}
    messages.write(path_of(messages.SITE, root), site, "")


def test_a_page_is_filled_in_from_its_list(tmp_path: Path) -> None:
    copy_of_the_book(tmp_path)
    page = "book/index"
    assert len(translate.check(page, tmp_path)) == 2
    text = translate.todo(page, tmp_path)
    assert "; cell = 细胞" in text
    wrong = translate.fill(page, text.replace("\nCells", "\n细胞"), tmp_path)
    assert len(wrong) == 1 and "still English" in wrong[0]
    wrong = translate.fill(page, text.replace("\nA cell keeps $c$.", "\n细胞保留\n$d$。"), tmp_path)
    assert any("lacks $c$; has $d$" in fault for fault in wrong)
    left = translate.todo(page, tmp_path)
    assert "Cells" not in left
    assert translate.fill(page, left.replace("\nA cell keeps $c$.", "\n细胞保留\n$c$。"), tmp_path) == []
    assert read_all(path_of(page, tmp_path))["A cell keeps $c$."] == Message("细胞保留 $c$。")
    assert translate.todo(page, tmp_path) == "" and translate.check(page, tmp_path) == []
    assert "no message of" in translate.fill(page, "[01234567]\n好\n", tmp_path)[0]


def test_a_change_of_the_english_is_found(tmp_path: Path) -> None:
    copy_of_the_book(tmp_path)
    page, path = "book/index", path_of("book/index", tmp_path)
    sound = {"Cells": Message("细胞"), "A cell keeps $c$.": Message("细胞保留 $c$。")}
    messages.write(path, sound, messages.digest(page, tmp_path))
    assert translate.check(page, tmp_path) == []
    (tmp_path / "book/index.md").write_text("# Cells\n\nA cell always keeps $c$.\n")
    assert "the English has changed" in translate.check(page, tmp_path)[0]
    said = translate.renewed(["Cells", "A cell always keeps $c$.", "$c$"], read_all(path), {})
    assert said["Cells"] == Message("细胞") and said["$c$"] == Message("$c$")
    assert said["A cell always keeps $c$."] == Message("细胞保留 $c$。", "A cell keeps $c$.")
    messages.write(path, said, messages.digest(page, tmp_path))
    assert read_all(path) == said  # a fuzzy entry comes back as it was written
    (fault,) = translate.check(page, tmp_path)
    assert "to be looked at again" in fault
    assert "; was: A cell keeps $c$." in translate.todo(page, tmp_path)
    path.write_text(path.read_text() + '\n#~ msgid "x"\n#~ msgstr "y"\n')
    assert any("no longer used" in fault for fault in translate.check(page, tmp_path))


def test_only_prose_of_a_notebook_counts(tmp_path: Path) -> None:
    path = tmp_path / "page.ipynb"
    (tmp_path / "_toc.yml").write_text("root: x\n")

    def digest(prose: str, code: str, alt: str) -> str:
        cells = [
            {"cell_type": "markdown", "metadata": {}, "source": [prose]},
            {"cell_type": "code", "metadata": {"mystnb": {"image": {"alt": alt}}}, "source": [code]},
        ]
        path.write_text(json.dumps({"cells": cells}))
        return messages.digest("page", tmp_path)

    first = digest("text", "1 + 1", "a line")
    assert digest("text", "1 + 2", "a line") == first
    assert first not in (digest("texts", "1 + 1", "a line"), digest("text", "1 + 1", "two lines"))


def test_words_in_html_are_taken_and_put_back() -> None:
    number = '<data data-name="kept" data-value="1">1.0</data>'
    html = f'<svg aria-label="Bars"><text>c<tspan>t</tspan></text><text>new c</text></svg><output id="a">Kept\n{number}.</output>'
    assert messages.html_messages(html) == ["Bars", "new c", "Kept {kept}."]
    put = messages.put_into_html(html, "Kept {kept}.", "保留 {kept}。")
    assert f'<output id="a">保留 {number}。</output>' in put and "<text>new c</text>" in put
    assert 'aria-label="条形"' in messages.put_into_html(html, "Bars", "条形")


def test_pages_are_led_to_shared_files(tmp_path: Path) -> None:
    for name, text in [("_static/a.js", "1"), ("_static/b.js", "1"), ("_images/a.png", "light")]:
        for root in (tmp_path, tmp_path / "zh"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    (tmp_path / "zh/_static/b.js").write_text("2")
    (tmp_path / "zh/_images/a.png").write_text("heavy")
    page = tmp_path / "zh/book/x.html"
    page.parent.mkdir()
    page.write_text('<img src="../_images/a.png"><script src="../_static/a.js?v=1"></script>"../_static/b.js""/zh/_static/a.js"')
    build.share(tmp_path, tmp_path / "zh")
    assert page.read_text() == (
        '<img src="../../_images/a.png"><script src="../../_static/a.js?v=1"></script>"../_static/b.js""/_static/a.js"'
    )
    left = {path.name for path in (tmp_path / "zh").rglob("*") if path.is_file()}
    assert left == {"x.html", "b.js"}


def test_the_configurations_differ_in_the_language_alone(tmp_path: Path) -> None:
    shutil.copy(messages.ROOT / "_config.yml", tmp_path)
    english = yaml.safe_load((tmp_path / "_config.yml").read_text())
    chinese = yaml.safe_load(build.chinese_config(tmp_path).read_text())
    assert chinese["sphinx"]["config"].pop("language") == "zh_CN"
    assert english["sphinx"]["config"].pop("language") == "en"
    paths = chinese["sphinx"].pop("local_extensions")
    assert paths == {k: f"{tmp_path}/{v}" for k, v in english["sphinx"].pop("local_extensions").items()}
    assert chinese == english


def test_chinese_is_searched_by_characters_and_pairs() -> None:
    sys.path.insert(0, str(messages.ROOT / "book/_ext"))
    from translation import Search

    found = Search({})
    assert found.split("遗忘门 f, LSTM") == ["遗", "忘", "门", "遗忘", "忘门", "f", "LSTM"]
    assert found.word_filter("门") and not found.word_filter("f")
