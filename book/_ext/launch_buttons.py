"""Buttons that open a chapter on Colab and on Binder, if `_config.yml` has a `repository_url`.

The theme has such buttons too, but for one branch, and ours lead to two: Binder installs the
chapters' own branch, Colab gets the copies that `book/launch.py` makes. The theme's own button to
edit a page is switched on by the same address.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from launch import links

ICONS = {"Colab": "_static/images/logo_colab.png", "Binder": "_static/images/logo_binder.svg"}


def edit_button(app: Sphinx, config: Config) -> None:
    """Let the theme show its button to edit a page where the address is known."""
    if config.html_theme_options.get("repository_url"):
        config.html_theme_options |= {"use_edit_page_button": True, "path_to_docs": ""}


def add_buttons(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put the two buttons into the header of a notebook's page."""
    url = app.config.html_theme_options.get("repository_url")
    if not url or not (Path(app.srcdir) / f"{page}.ipynb").exists():
        return
    try:
        found = links(url, page)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    buttons = [
        {"type": "link", "text": name, "tooltip": f"Open on {name}", "icon": ICONS[name], "url": to}
        for name, to in found.items()
    ]
    group = {"type": "group", "tooltip": "Run this page", "icon": "fas fa-rocket"}
    context["header_buttons"].append(group | {"buttons": buttons, "label": "launch-buttons"})


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", edit_button)
    app.connect("html-page-context", add_buttons, priority=501)  # the theme's list is there then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
