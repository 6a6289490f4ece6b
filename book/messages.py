"""The messages of the site and their Chinese: where they are kept, and what must stay the same.

Each page has a file of messages, `book/locale/zh_CN/LC_MESSAGES/book/gates/cell.po`, each with
the English text of a paragraph, a heading, a cell of a table or an alternative text, and the
Chinese. What stands on every page, or comes from the exercises' checks, has `site.po`. Beside
its messages a file holds a digest of the English source, so that a later change of the source is
seen without building the site.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from babel.messages.pofile import normalize, read_po
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from lstm_student import exercise

ROOT = Path(__file__).resolve().parents[1]
LANGUAGE = "zh_CN"
FOLDER = f"book/locale/{LANGUAGE}/LC_MESSAGES"
TERMS = "book/locale/terms.csv"
SITE = "site"
THEME = ("search_bar_text", "toc_title", "extra_footer")  # of html_theme_options

# Sentences of our extensions.
WORDS = (
    "described in the API: ", "Derived in", "Adds nothing: it uses what is there",
    "Adds nothing to the package; shows {others} pieces of its measurements",
    "Adds {words} ({own} piece)", "Adds {words} ({own} pieces)",
    "LSTM from scratch, beside the drawing of one step of an LSTM",
    "chapter", "read", "then", "work", "together", "{minutes} minutes in all",
    "exercise {names}", "exercises {names}", "write {module}", "run its cells",
    "exercise", "what it tests", "mistakes", "code", "word", "number", "several values",
)  # fmt: skip

# Names of buttons, links and parts of a page that the theme and Sphinx have no Chinese for.
LABELS = (
    "The book", "Main", "Page", "Color mode", "Toggle primary sidebar", "Toggle secondary sidebar",
    "Link to this heading", "Link to this equation", "Link to this definition", "Link to this term",
    "Link to this image", "Link to this table", "Toggle hidden content",
)  # fmt: skip


class Message(NamedTuple):
    """A translation; with what was translated before, if the English has changed since."""

    chinese: str = ""
    before: str = ""  # the English that it was made for: the message is to be looked at


# --- files -------------------------------------------------------------------------------


def pages(root: Path = ROOT) -> list[str]:
    """Return the names of all pages, without suffix, in the order of the contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


def path_of(page: str, root: Path = ROOT) -> Path:
    """Return the file with the messages of a page."""
    return root / FOLDER / f"{page}.po"


def read_all(path: Path) -> dict[str, Message]:
    """Return the messages of a file by their English, also those without a translation."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        catalog = read_po(file, LANGUAGE)
    return {
        m.id: Message(m.string or "", " ".join(m.user_comments) or "?" if m.fuzzy else "")
        for m in catalog
        if m.id
    }


def read(path: Path) -> dict[str, str]:
    """Return the finished translations of a file by their English."""
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return finished(path, stamp)


@cache
def finished(path: Path, stamp: int) -> dict[str, str]:
    found = read_all(path)
    return {english: m.chinese for english, m in found.items() if m.chinese and not m.before}


def digest_in(path: Path) -> str:
    """Return the digest of the source that a file was made from."""
    found = re.search(r'"X-Source-Digest: (\w+)', path.read_text()) if path.is_file() else None
    return found[1] if found else ""


def write(path: Path, found: dict[str, Message], digest: str) -> None:
    """Write a file of messages: no dates and no line numbers, so that a diff shows changes alone."""
    head = f"Content-Type: text/plain; charset=UTF-8\nX-Source-Digest: {digest}\n"
    blocks = [f'msgid ""\nmsgstr {normalize(head)}']
    for english, (chinese, before) in found.items():
        old = f"# {' '.join(before.split())}\n#, fuzzy\n" if before else ""
        blocks.append(f"{old}msgid {normalize(english)}\nmsgstr {normalize(chinese)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(blocks) + "\n")


# --- the English source --------------------------------------------------------------------


def source(page: str, root: Path = ROOT) -> str:
    """Return all text of a page that may be translated, also that of the files it includes."""
    path = root / f"{page}.md"
    if path.is_file():
        text = path.read_text()
    else:
        path = path.with_suffix(".ipynb")
        cells = json.loads(path.read_text())["cells"]
        parts = [
            "".join(cell["source"]) if cell["cell_type"] == "markdown"
            else cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            for cell in cells
        ]  # fmt: skip
        text = "\n".join(filter(None, parts))
    included = re.findall(r"^:file: (\S+)|^```\{include\} (\S+)", text, re.MULTILINE)
    texts = [(path.parent / (a or b)).read_text() for a, b in included]
    captions = re.findall(r"caption: .*", (root / "_toc.yml").read_text())
    return "\n".join([text, *texts, *(captions if page.endswith("book/index") else [])])


def digest(page: str, root: Path = ROOT) -> str:
    """Return a digest of a page's translatable text."""
    return hashlib.sha256(source(page, root).encode()).hexdigest()[:16]


def site_messages(root: Path = ROOT) -> list[str]:
    """Return what no page's text holds: of settings, our extensions, the theme, the exercises."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    options = config["sphinx"]["config"]["html_theme_options"]
    theme = [options[name] for name in THEME]
    tests = [one.tests for name in exercise.chapters() for one in exercise.exercises(name).values()]
    return list(dict.fromkeys([config["title"], *theme, *WORDS, *LABELS, *tests]))


# --- words in HTML ---------------------------------------------------------------------------

ELEMENT = r"<(label|output|figcaption|text|title|desc|p)\b[^>]*>(?P<inner>.*?)</\1>"
WORDY = re.compile(rf'{ELEMENT}|\baria-label="(?P<label>[^"]*)"', re.DOTALL)
NUMBER = re.compile(r'<data data-name="(\w+)"[^>]*>.*?</data>', re.DOTALL)


def html_message(inner: str) -> str:
    """Return the message of an element's inside; a number that a script writes is {its name}."""
    return " ".join(NUMBER.sub(r"{\1}", inner).split())


def has_words(message: str) -> bool:
    """Tell whether anything is left to translate: two letters outside tags and {names}."""
    return re.search(r"[a-z]{2}", re.sub(r"<[^>]*>|\{\w+\}", " ", message)) is not None


def html_messages(html: str) -> list[str]:
    """Return the messages of a piece of HTML: its labels, sentences and captions."""
    found = [html_message(m["inner"] or m["label"] or "") for m in WORDY.finditer(html)]
    return [text for text in dict.fromkeys(found) if has_words(text) and text not in same_terms()]


def put_into_html(html: str, english: str, chinese: str) -> str:
    """Return the HTML with one message translated; the numbers keep their elements."""

    def replaced(match: re.Match[str]) -> str:
        name = "inner" if match["inner"] is not None else "label"
        if html_message(match[name]) != english:
            return match[0]
        numbers = {m[1]: m[0] for m in NUMBER.finditer(match[name])}
        text = re.sub(r"\{(\w+)\}", lambda m: numbers[m[1]], chinese)
        start, end = match.start(name) - match.start(), match.end(name) - match.start()
        return match[0][:start] + text + match[0][end:]

    return WORDY.sub(replaced, html)


# --- what must stay the same -----------------------------------------------------------------


@cache
def parser() -> MarkdownIt:
    """Return the parser that reads the pages, and the translations when the site is built."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    enabled = set(config["parse"]["myst_enable_extensions"])
    return create_md_parser(MdParserConfig(enable_extensions=enabled), RendererHTML)


def parts(text: str) -> tuple[Counter[str], str]:
    """Return what a translation must repeat, counted, and the words between."""
    found: Counter[str] = Counter(
        re.findall(r"\{\w+\}(?!`)", re.sub(r"`[^`]*`|\$[^$]*\$", "", text))
    )
    rest = []
    inline = parser().parseInline(text)[0].children or []
    for token in inline:
        if token.type == "math_inline":
            found[f"${token.content}$"] += 1
        elif token.type == "code_inline":
            code = token.content.replace("\u00a0", " ")  # it looks the same
            found[f"`{code}`"] += 1
        elif token.type == "myst_role" and token.meta["name"].startswith("py:"):
            found[f"{{{token.meta['name']}}}`{token.content}`"] += 1  # its text is code
        elif token.type == "myst_role":
            named = re.fullmatch(r"(.*?)\s*<([^<>]+)>", token.content, re.DOTALL)
            rest += [named[1]] if named else []
            target = f"<{named[2]}>" if named else token.content
            found[f"{{{token.meta['name']}}}`{target}`"] += 1
        elif token.type == "link_open":
            found[f"]({token.attrs['href']})"] += 1
        elif token.type in ("em_open", "strong_open"):
            found[token.markup] += 1
        elif token.type == "html_inline":
            found[token.content] += 1
        else:
            rest.append(token.content)
    return found, " ".join(rest)


NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
CHINESE = re.compile(r"[\u3400-\u9fff]")


def is_same(english: str) -> bool:
    """Tell whether a message is the same in both languages: it has no words, or is such a term."""
    return english in same_terms() or not re.search(r"[A-Za-z]{2}|\b[aA]\b", parts(english)[1])


def faults(english: str, chinese: str) -> list[str]:
    """Name all that a translation lacks or has too much of, and terms that it does not use."""
    before, words = parts(english)
    after, text = parts(chinese)
    found = [f"lacks {what}" for what in (before - after)]
    found += [f"has {what}, which the English has not" for what in (after - before)]
    found += [
        f"lacks the number {number}"
        for number in Counter(NUMBERS.findall(words)) - Counter(NUMBERS.findall(text))
    ]
    if not is_same(english) and not CHINESE.search(text):
        found.append("has no Chinese character")
    if re.search(r"[\u3400-\u9fff][,;:?!]|[\u3400-\u9fff]\.(?!\w)", text):
        found.append("has , ; : ? ! or . after a Chinese character: use ，；：？！。")
    if "您" in text:
        found.append("says 您: the book says 你")
    return found + wrong_terms(words, text)


# --- terms -------------------------------------------------------------------------------------


class Term(NamedTuple):
    """A word of the book, its Chinese, and other forms that are accepted ("*": any)."""

    english: str
    chinese: str
    also: tuple[str, ...]


@cache
def terms() -> tuple[Term, ...]:
    """Return all terms, the longest first."""
    with (ROOT / TERMS).open(newline="") as file:
        rows = [
            Term(row["english"], row["chinese"], tuple(filter(None, row["also"].split("|"))))
            for row in csv.DictReader(file)
        ]
    return tuple(sorted(rows, key=lambda term: -len(term.english)))


@cache
def same_terms() -> set[str]:
    """Return the terms that are written alike in both languages."""
    return {term.english for term in terms() if term.english == term.chinese}


@cache
def pattern() -> re.Pattern[str]:
    """Return what finds a term in English, also in the plural; the longest goes first."""
    names = "|".join(re.escape(term.english.lower()) for term in terms())
    return re.compile(rf"(?<![\w-])(?:({names}))(?:s|es)?(?![\w-])")


def terms_in(english: str) -> list[Term]:
    """Return the terms in a text; a term inside a longer one does not count."""
    named = {term.english.lower(): term for term in terms()}
    return list(dict.fromkeys(named[m[1]] for m in pattern().finditer(english.lower())))


def wrong_terms(english: str, chinese: str) -> list[str]:
    """Name the terms of a text whose Chinese the translation does not hold."""
    return [
        f"says {term.english} in other words than {' or '.join((term.chinese, *term.also))}"
        for term in terms_in(english)
        if "*" not in term.also
        and not any(form.lower() in chinese.lower() for form in (term.chinese, *term.also))
    ]
