"""Keep the Chinese messages in step with the English pages, and let a translator fill them.

    translate.py update            take the messages from the sources (this is `make translate`)
    translate.py todo PAGE         print what is left to translate on a page, to be filled in
    translate.py fill PAGE FILE    store the translations of such a text, if all of it is sound
    translate.py check [PAGE ...]  name what is wrong or missing

PAGE is `book/gates/cell`; `site` for what stands on every page; `common` for the messages of
more than one page. The text that `todo` prints has a line `[id]` over each message; lines that
begin with `;` are notes: the terms of the message, or what was translated before.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from babel.messages.pofile import read_po

from build import command
from messages import (
    ROOT,
    SITE,
    Message,
    digest,
    digest_in,
    faults,
    is_same,
    pages,
    path_of,
    read_all,
    site_messages,
    terms_in,
    write,
)  # fmt: skip

GETTEXT = "_build/gettext"
COMMON = "common"
Known = dict[str, str]


def extract(root: Path) -> dict[str, list[str]]:
    """Let Sphinx take the messages of every page from its source."""
    folder = root / GETTEXT
    shutil.rmtree(folder, ignore_errors=True)
    program = command(folder, "--builder", "custom", "--custom-builder", "gettext", "--quiet")
    subprocess.run(program, cwd=root, check=True, stdout=subprocess.DEVNULL)
    found = {SITE: site_messages(root)}
    for page in pages(root):
        with (folder / "_build/gettext" / f"{page}.pot").open("rb") as file:
            found[page] = [message.id for message in read_po(file) if message.id]
    return found


def renewed(english: list[str], old: dict[str, Message], known: Known) -> dict[str, Message]:
    """Return the messages of a page: what is translated stays, what is like it is to be looked at."""
    gone = {text: m for text, m in old.items() if text not in english and m.chinese}
    found = {}
    for text in english:
        message = old.get(text, Message())
        if not message.chinese:
            message = Message(known.get(text) or (text if is_same(text) else ""))
        if not message.chinese:
            close = difflib.get_close_matches(text, gone, 1, 0.6)
            message = Message(gone[close[0]].chinese, close[0]) if close else message
        found[text] = message
    return found


def translations(root: Path) -> Known:
    """Return every finished translation of every page."""
    files = [path_of(page, root) for page in (SITE, *pages(root))]
    return {
        text: m.chinese
        for file in files
        for text, m in read_all(file).items()
        if m.chinese and not m.before
    }


def update(root: Path) -> None:
    """Renew the messages of every page; what is no longer said is dropped."""
    known = translations(root)
    found = extract(root)
    for page, english in found.items():
        path = path_of(page, root)
        sign = "" if page == SITE else digest(page, root)
        write(path, renewed(english, read_all(path), known), sign)
    kept = {path_of(page, root) for page in found}
    for path in set((root / path_of(SITE, root).parent).rglob("*.po")) - kept:
        path.unlink()


# --- for the translator --------------------------------------------------------------------


def identify(english: str) -> str:
    """Return the id of a message, which changes with its text alone."""
    return hashlib.sha256(english.encode()).hexdigest()[:8]


def messages_of(page: str, root: Path) -> dict[str, Message]:
    """Return the messages of a page, of `site`, or those common to several pages."""
    if page == COMMON:
        files = [read_all(path_of(name, root)) for name in (SITE, *pages(root))]
        often = Counter(text for file in files for text in file)
        every = {text: m for file in files for text, m in file.items()}
        return {text: m for text, m in every.items() if often[text] > 1}
    path = path_of(page, root)
    if not path.is_file():
        sys.exit(f"translate: no page {page!r}: expected a name as in _toc.yml, site or common")
    return read_all(path)


def todo(page: str, root: Path) -> str:
    """Return the text to be filled in: each message that has no finished translation."""
    blocks = []
    for text, message in messages_of(page, root).items():
        if message.chinese and not message.before:
            continue
        notes = [f"; {t.english} = {' | '.join((t.chinese, *t.also))}" for t in terms_in(text)]
        if message.before:
            notes += [f"; was: {message.before}", f"; was: {message.chinese}"]
        blocks.append("\n".join([f"[{identify(text)}]", *notes, text]))
    return "\n\n".join(blocks)


def parse(text: str) -> dict[str, str]:
    """Return the translations of a filled text by their ids."""
    pieces = re.split(r"^\[([0-9a-f]{8})\][ \t]*\n", text, flags=re.MULTILINE)
    if pieces[0].strip():
        sys.exit(f"translate: expected [id] first, got {pieces[0].strip()[:60]!r}")
    found: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2]):
        lines = [line for line in body.splitlines() if not line.startswith(";")]
        if name in found:
            sys.exit(f"translate: the id {name} comes twice")
        found[name] = joined(lines)
    return found


def joined(lines: list[str]) -> str:
    """Return lines as one: without a space where Chinese meets Chinese."""
    text = " ".join(filter(None, map(str.strip, lines)))
    side = r"[\u3000-\u9fff\uff00-\uffef]"
    return re.sub(rf"(?<={side}) (?={side})", "", text)


def fill(page: str, text: str, root: Path) -> list[str]:
    """Store the sound translations of a filled text; return what is wrong with the others."""
    names = {identify(english): english for english in messages_of(page, root)}
    sound, wrong = {}, []
    for name, chinese in parse(text).items():
        english = names.get(name)
        if english is None:
            wrong.append(f"[{name}] is no message of {page}: has the English changed?")
        elif chinese == english and not is_same(english):
            wrong.append(f"[{name}] is still English: {english[:60]!r}")
        elif found := faults(english, chinese):
            wrong.append(f"[{name}] {'; '.join(found)}")
        else:
            sound[english] = chinese
    targets = [SITE, *pages(root)] if page == COMMON else [page]
    for path in (path_of(target, root) for target in targets):
        store(path, sound)
    return wrong


def store(path: Path, sound: Known) -> None:
    """Put translations into a file of messages."""
    old = read_all(path)
    new = {text: Message(sound[text]) if text in sound else m for text, m in old.items()}
    if new != old:
        write(path, new, digest_in(path))


def check(page: str, root: Path) -> list[str]:
    """Name all that is wrong or missing on a page."""
    path, found = path_of(page, root), []
    if not path.is_file():
        return [f"{page}: has no messages: run `make translate`"]
    said = read_all(path)
    if page != SITE and digest_in(path) != digest(page, root):
        found.append(f"{page}: the English has changed: run `make translate`")
    if page == SITE and list(said) != site_messages(root):
        found.append(f"{page}: the words of the site have changed: run `make translate`")
    if "\n#~" in path.read_text():
        found.append(f"{page}: has messages that are no longer used: run `make translate`")
    for english, (chinese, before) in said.items():
        where = f"{page} [{identify(english)}]"
        if not chinese or before:
            state = "to be looked at again" if before else "not translated"
            found.append(f"{where} {state}: {english[:60]!r}")
        else:
            found += [f"{where} {fault}" for fault in faults(english, chinese)]
    return found


def main(arguments: list[str], root: Path = ROOT) -> None:
    match arguments:
        case ["update"]:
            update(root)
        case ["todo", page]:
            print(todo(page, root))
        case ["fill", page, file]:
            wrong = fill(page, Path(file).read_text(), root)
            if wrong:
                sys.exit("\n".join([*wrong, "The other messages are stored."]))
        case ["check", *names]:
            found = [fault for page in names or (SITE, *pages(root)) for fault in check(page, root)]
            if found:
                sys.exit("\n".join(found))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
