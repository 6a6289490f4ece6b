"""The site in two languages: English, and Chinese from the messages in `book/locale`.

Sphinx takes a page's messages from its text and puts their translations there. Here is what it
leaves out: which parts are shared between the languages (code, outputs, docstrings, displayed
mathematics), the words in drawings, the words that stand on every page, the link on each page
to the other language, and a search that knows Chinese.
"""

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.search import SearchLanguage, languages
from sphinx.search.zh import SearchChinese
from sphinx.transforms import SphinxTransform
from sphinx.transforms.i18n import Locale
from sphinx_exercise.nodes import exercise_subtitle

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import messages

# Of each language: its tag, its name, and the way from its pages to those of the other.
TAGS = {"en": ("en", "English", "zh/"), "zh_CN": ("zh-CN", "中文", "../")}
OTHER = {"en": "zh_CN", "zh_CN": "en"}


def words(app: Sphinx, text: str, page: str = messages.SITE) -> str:
    """Return one of the site's own sentences, or one of a page's, in the language of the site."""
    if app.config.language != messages.LANGUAGE:
        return text
    return messages.read(messages.path_of(page, Path(app.srcdir))).get(text) or text


class Drawing(nodes.raw, addnodes.translatable):
    """A piece of HTML whose words are messages."""

    def preserve_original_messages(self) -> None:
        """Do nothing: the HTML itself is what was written."""

    def extract_original_messages(self) -> list[str]:
        return messages.html_messages(self.astext())

    def apply_translated_message(self, original: str, translated: str) -> None:
        text = messages.put_into_html(self.astext(), original, translated)
        self.children = [nodes.Text(text)]


class Kept(addnodes.translatable):
    """A node that keeps messages in its attribute of that name, and is not translated itself."""

    def preserve_original_messages(self) -> None:
        """Do nothing: they are kept."""

    def extract_original_messages(self) -> list[str]:
        return self["messages"]

    def apply_translated_message(self, original: str, translated: str) -> None:
        """Do nothing: whoever made the node has put the translations where they belong."""


class Said(nodes.comment, Kept):
    """Messages of nodes that are others by the time that messages are taken. It is not shown."""


class Parts(SphinxTransform):
    """Marks what is the same in both languages, and finds the words in HTML."""

    default_priority = Locale.default_priority - 1

    def apply(self, **_) -> None:
        for shared in self.document.findall(is_shared):
            for node in shared.findall(nodes.TextElement):
                node["translatable"] = False
        for node in self.document.findall(nodes.TextElement):
            if "docstring of" in (node.source or ""):  # of a module
                node["translatable"] = False
        said = list(self.document.findall(exercise_subtitle))
        for link in self.document.findall(addnodes.pending_xref):
            if "sd-stretched-link" in link["classes"]:  # of a card: what a screen reader says
                said.append(link.children[0])
        for node in said:
            self.say(node)
        if said:
            self.document += Said("", "", messages=[node.rawsource for node in said])
            self.document[-1].source, self.document[-1].line = self.document["source"], 0
        for raw in list(self.document.findall(nodes.raw)):
            html = raw.astext()
            if raw.get("format") == "html" and messages.html_messages(html):
                drawing = Drawing(html, html, format="html")
                drawing.source, drawing.line = raw.source or self.document["source"], raw.line or 0
                raw.replace_self(drawing)

    def say(self, node: nodes.Element) -> None:
        """Make a message of a node whose text its extension gave no source."""
        node.source, node.line = self.document["source"], node.line or 0
        node.rawsource = "".join(map(markdown, node.children))
        node["translatable"] = True


def markdown(node: nodes.Node) -> str:
    """Return the Markdown of a piece of a title."""
    text = node.astext()
    if isinstance(node, nodes.math):
        return f"${text}$"
    if isinstance(node, nodes.literal):
        return f"`{text}`"
    return f"*{text}*" if isinstance(node, nodes.emphasis) else text


def is_shared(node: nodes.Node) -> bool:
    """Tell whether this is code, an output, an object's description or displayed mathematics."""
    output = isinstance(node, nodes.container) and "cell_output" in node["classes"]
    return output or isinstance(node, (nodes.math_block, addnodes.desc, nodes.literal_block))


class Captions(SphinxTransform):
    """Translates the captions of the contents, which their extension adds after the messages."""

    default_priority = 150

    def apply(self, **_) -> None:
        for contents in self.document.findall(addnodes.toctree):
            if contents.get("caption"):
                contents["caption"] = words(self.app, contents["caption"], self.env.docname)


def set_words(app: Sphinx, config) -> None:
    """Put the title, the theme's words and the addresses of the site into its language."""
    config.html_title = words(app, config.html_title)
    options = config.html_theme_options
    for name in messages.THEME:
        options[name] = words(app, options[name])
    if config.language == messages.LANGUAGE:
        config.notfound_urls_prefix = "/zh/"


def add_switch(app: Sphinx, page, template, context, doctree) -> None:
    """Give a page the link to itself in the other language, seen and unseen."""
    if page.startswith("_modules/"):  # the package's source is shown once, for both
        return
    way = TAGS[app.config.language][2]
    tag, name, _ = TAGS[OTHER[app.config.language]]
    root = context["content_root"]
    if page == "404":  # it is shown at any address
        root, way = "/", "zh/" if way == "zh/" else ""
    address = f"{root}{way}{page}.html"
    context["other_language"] = {"address": address, "tag": tag, "name": name}
    own = TAGS[app.config.language][0]
    links = {own: f"{page.rpartition('/')[2]}.html", tag: address}
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<link rel="alternate" hreflang="{tag}" href="{links[tag]}">' for tag in sorted(links)
    )


class Search(SearchChinese):
    """Indexes each Chinese character and each pair of neighbors: no dictionary is needed.

    A query is cut the same way, so a word is found where all its pairs are.
    """

    run = re.compile(r"[\u3400-\u9fff]+|[a-zA-Z0-9_]+")
    js_splitter_code = r"""
function splitQuery(query) {
  const found = [];
  for (const run of query.match(/[\u3400-\u9fff]+|[\p{Letter}\p{Number}_]+/gu) || []) {
    if (!/[\u3400-\u9fff]/.test(run) || run.length === 1) found.push(run);
    else for (let k = 1; k < run.length; k++) found.push(run.slice(k - 1, k + 1));
  }
  return found;
}
"""

    def split(self, input: str) -> list[str]:
        found = []
        for run in self.run.findall(input):
            pairs = [run[k : k + 2] for k in range(len(run) - 1)]
            found += [run] if run.isascii() else [*run, *pairs]
        return found

    def stem(self, word: str) -> str:
        # What Sphinx does, without its list of all Latin words so far, which it searches each time.
        short, stemmed = word.lower(), self.stemmer.stemWord(word.lower())
        return short if word.isascii() and len(stemmed) < 3 <= len(word) else stemmed

    def word_filter(self, stemmed_word: str) -> bool:
        return len(stemmed_word) > 1 or not stemmed_word.isascii()


def setup(app: Sphinx) -> dict[str, bool]:
    chinese: type[SearchLanguage] = Search
    languages["zh"] = chinese
    app.add_transform(Parts)
    app.add_transform(Captions)
    app.connect("config-inited", set_words)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
