"""What a link to a page shows elsewhere (Open Graph), and the sitemap.

Both are made of what the pages say. Absolute addresses appear only once `html: baseurl:` of
`_config.yml` says where the site is; until then the picture's address is relative, and there
is no sitemap, whose addresses have to be absolute.
"""

from html import escape
from pathlib import Path
from textwrap import shorten
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx
from translation import words

IMAGE = "_static/preview.png"  # made by book/draw_preview.py
IMAGE_SIZE = (1200, 630)
IMAGE_TEXT = "LSTM from scratch, beside the drawing of one step of an LSTM"


def description(doctree: nodes.document) -> str:
    """Return the first words of a page: those of its first paragraph."""
    first = next(doctree.findall(nodes.paragraph), None)
    return shorten(first.astext(), 200, placeholder=" …") if first else ""


def tags(title: str, text: str, site: str, image: str, alt: str, address: str) -> str:
    """Return the meta tags of a page; an address that is empty is left out."""
    found = {
        "og:type": "article", "og:site_name": site, "og:title": title,
        "og:description": text, "og:url": address, "og:image": image,
        "og:image:width": str(IMAGE_SIZE[0]), "og:image:height": str(IMAGE_SIZE[1]),
        "og:image:alt": alt,
    }  # fmt: skip
    lines = [f'<meta property="{k}" content="{escape(v)}">' for k, v in found.items() if v]
    named = {"description": text, "twitter:card": "summary_large_image"}
    return "\n".join(lines + [f'<meta name="{k}" content="{escape(v)}">' for k, v in named.items()])


def add_tags(app, pagename, templatename, context, doctree):
    """Put the meta tags into the head of a page that has a text."""
    if doctree is None:
        return
    base = app.config.html_baseurl
    image = urljoin(base, IMAGE) if base else context["pathto"](IMAGE, 1)
    address = urljoin(base, app.builder.get_target_uri(pagename)) if base else ""
    title = app.env.titles[pagename].astext()
    found = tags(
        title, description(doctree), app.config.html_title, image, words(app, IMAGE_TEXT), address
    )
    context["metatags"] = context.get("metatags", "") + "\n" + found


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """List the addresses of all pages in `sitemap.xml`, if the site has an address."""
    base = app.config.html_baseurl
    if error or not base or app.builder.format != "html":
        return
    pages = [urljoin(base, app.builder.get_target_uri(name)) for name in sorted(app.env.found_docs)]
    urls = "".join(f"<url><loc>{escape(page)}</loc></url>\n" for page in pages)
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
