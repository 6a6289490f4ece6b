"""What is left to do on the finished site: mend the themes' HTML, and make the pages lighter.

The mends are for readers with a screen reader; axe-core, in tests/test_access.py, demands each.
They are made on the files because the HTML comes from five packages' templates and writers.
"""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from sphinx.application import Sphinx
from translation import words

from messages import LABELS

ICONS = "_static/scripts/fontawesome.js"
ICON = re.compile(
    r'("[\w-]+"|[\w$]+):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\](,?)'
)
SCRIPTED_ICONS = {"xmark"}  # those that the theme's scripts put on a page
MENDS = [(re.compile(pattern, re.DOTALL), new) for pattern, new in [
    # a button's name must hold the text that is seen on it
    (r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r"\1"),
    # the logo stood outside every landmark
    (r'(<div id="pst-primary-sidebar") class', r'\1 role="region" aria-label="The book" class'),
    # these roles need children and parents that the bibliography has not
    (r' role="doc-biblioentry"', ""),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    # a header cell without text heads nothing
    (r"<th( [^>]*)?>(?:<p></p>)?\s*</th>", r"<td\1></td>"),
]]  # fmt: skip
PARAMETERS = re.compile(r'<dl>\s*(<dd><em class="sig-param">.*?)</dl>', re.DOTALL)


def plain_list(match: re.Match[str]) -> str:
    """Return a signature's parameters as rows: they define nothing, so are no <dl>."""
    rows = match[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="sig-rows">\n{rows}</div>'


def mend(text: str) -> str:
    """Return a page's HTML with every mend made; one already mended stays as it is."""
    for pattern, new in MENDS:
        text = pattern.sub(new, text)
    return PARAMETERS.sub(plain_list, text)


def fewer_icons(script: str, used: set[str]) -> str:
    """Return Font Awesome's script with the drawings of these icons alone (of 2000)."""

    def keep(match: re.Match[str]) -> str:
        names = {match[1], *match[2].split(",")}
        return match[0] if used & {name.strip('"') for name in names} else ""

    return re.sub(r",\}", "}", ICON.sub(keep, script))


def lighter(png: bytes) -> bytes:
    """Return a picture with a palette of 256 colors, if it is smaller and looks the same.

    The same: the root mean square of the change is below 2 of the 255 steps of a color.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for rounds in (0, 2):  # the second try takes four times as long; few pictures need it
        few = picture.quantize(256, kmeans=rounds, dither=Image.Dither.NONE)
        change = np.asarray(picture, float) - np.asarray(few.convert("RGB"), float)
        if np.sqrt((change**2).mean()) < 1 + rounds / 2:
            written = io.BytesIO()
            few.save(written, "PNG", optimize=True)
            return min(png, written.getvalue(), key=len)
    return png


def finish(app: Sphinx, failure: Exception | None) -> None:
    """Mend every page, name its buttons, leave out icons that none shows, store figures smaller."""
    if failure or app.builder.format != "html":
        return
    site, used = Path(app.outdir), set(SCRIPTED_ICONS)
    for page in site.rglob("*.html"):
        text = page.read_text()
        used |= set(re.findall(r"\bfa-([a-z0-9-]+)", text))
        text = mend(text)
        for label in LABELS:
            text = text.replace(f'="{label}"', f'="{words(app, label)}"')
        page.write_text(text)
    icons = site / ICONS
    icons.write_text(fewer_icons(icons.read_text(), used))
    if app.config.language != "en":  # its pictures are those of the English pages
        return
    for picture in site.glob("_images/*.png"):
        before = picture.read_bytes()
        if Image.open(io.BytesIO(before)).mode != "P":
            picture.write_bytes(lighter(before))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
