"""`make serve`: an edited source is built again, and the open page shows it. The build is a stand-in."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import serve
from test_site import browser  # noqa: F401  a fixture


def build(root: Path, sources: set[Path]) -> bool:
    """Stand in for Jupyter Book: a page of the text, and a failure when told so."""
    text = (root / "book/page.md").read_text()
    if text == "broken":
        return False
    (root / "site/page.html").write_text(f"<!doctype html><title>t</title><body><p>{text}</p></body>")
    return True


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("book", "lstm", "site"):
        (tmp_path / folder).mkdir()
    (tmp_path / "book/page.md").write_text("old")
    build(tmp_path, set())
    return tmp_path


@pytest.fixture
def address(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(serve, "PAUSE", 0.05)
    stop, seen = threading.Event(), serve.times(project)
    with serve.Server(project / "site", 0) as server:
        jobs = [threading.Thread(target=server.serve_forever),
                threading.Thread(target=serve.watch, args=(project, build, server, seen, stop))]  # fmt: skip
        for job in jobs:
            job.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        stop.set()
        server.shutdown()
        for job in jobs:
            job.join()


def test_an_open_page_shows_what_was_written(browser: Any, project: Path, address: str) -> None:  # noqa: F811
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + "page.html")
    page.wait_for_selector("text=old")
    page.wait_for_timeout(1200)  # the page has asked once which build it shows
    (project / "book/page.md").write_text("broken")
    time.sleep(0.3)
    (project / "book/page.md").write_text("new")
    page.wait_for_selector("text=new", timeout=5000)
    page.close()
    assert all(url.startswith(address) for url in asked)


def test_what_is_no_page_is_sent_as_it_is(project: Path, address: str) -> None:
    (project / "site/course.css").write_text("p {}")
    with urlopen(address + "course.css") as answer:
        assert (answer.read(), answer.headers["Cache-Control"]) == (b"p {}", "no-store")


def test_what_counts_as_a_change(project: Path) -> None:
    sources = ["book/page.md", "lstm/__init__.py", "_toc.yml"]
    others = ["book/.ipynb_checkpoints/x.ipynb", "lstm/__pycache__/x.pyc", "book/.x.swp", "tests/x.py"]
    for name in sources + others:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("1")
    before = serve.times(project)
    assert sorted(file.relative_to(project).as_posix() for file in before) == sorted(sources)
    os.utime(project / "_toc.yml", (0, 0))
    (project / "lstm/__init__.py").unlink()
    (project / "book/new.md").write_text("1")
    found = {file.name for file in serve.changed(before, serve.times(project))}
    assert found == {"_toc.yml", "__init__.py", "new.md"}


def test_the_command_that_builds(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], cwd: Path, stdout: Any = None) -> Any:
        ran.append([str(word) for word in command[1:]])
        return type("Made", (), {"returncode": len(ran) == 3})

    monkeypatch.setattr(serve.subprocess, "run", run)
    assert serve.build(project, {project / "book/page.md"})
    assert not serve.build(project, {project / "_toc.yml"})
    assert "--all" not in ran[0] and ran[1] == ["book/weave.py", "--check"] and "--all" in ran[2]
    assert "-W" not in ran[0] and len(ran) == 3


def test_a_taken_port_is_no_obstacle(tmp_path: Path) -> None:
    with serve.Server(tmp_path, 0) as first, serve.Server(tmp_path, first.server_port) as second:
        assert second.server_port not in (0, first.server_port)
        assert second.server_address[0] == "127.0.0.1"
