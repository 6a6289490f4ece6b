"""Serve the site on this machine, build it again when a source changes, reload open pages.

Only what changed is built, into a folder of its own, and a warning is no error: `make book` is
the judge. After each build the woven cells that differ from the package are named.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from build import command
from weave import ROOT

WATCHED = ("book", "lstm", "_config.yml", "_toc.yml", "README.md", "CONTRIBUTING.md")
FOLDER, PORT, PAUSE = "_build/serve", 8000, 0.5
# A page asks once a second: an open connection for each page would soon be one too many.
SCRIPT = b"""<script>
{
  let first;
  setInterval(async () => {
    const built = await fetch('/_built').then(r => r.text()).catch(() => first);
    first ??= built;
    if (built !== first) location.reload();
  }, 1000);
}
</script>"""
Times = dict[Path, int]
Build = Callable[[Path, set[Path]], bool]


def times(root: Path) -> Times:
    """Return when each source of the site was last written."""
    found: Times = {}
    for name in WATCHED:
        for file in [root / name, *(root / name).rglob("*")]:
            parts = file.relative_to(root).parts
            hidden = any(part[0] == "." or part == "__pycache__" for part in parts)
            if file.is_file() and not hidden:
                with suppress(FileNotFoundError):  # an editor's, gone meanwhile
                    found[file] = file.stat().st_mtime_ns
    return found


def changed(before: Times, after: Times) -> set[Path]:
    """Return the files that are new, gone or written again."""
    return {file for file, _ in before.items() ^ after.items()}


def build(root: Path, sources: set[Path]) -> bool:
    """Build what depends on these sources; tell whether there is a site to look at."""
    # The contents and the settings are on every page; so may be what an extension does.
    everywhere = any(file.suffix == ".yml" or file.parent.name == "_ext" for file in sources)
    program = command(root / FOLDER, "-n", "--keep-going", "--quiet", *["--all"] * everywhere)
    made = subprocess.run(program, cwd=root, stdout=subprocess.DEVNULL)  # warnings come on stderr
    if made.returncode == 0:
        subprocess.run([sys.executable, "book/weave.py", "--check"], cwd=root)
    return made.returncode == 0


class Handler(SimpleHTTPRequestHandler):
    """Files of the site; to pages the script is added that reloads them."""

    server: Server

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        page = path / "index.html" if path.is_dir() else path
        if self.path == "/_built":
            self.answer("text/plain", self.server.built.encode())
        elif page.suffix == ".html" and page.is_file():
            self.answer("text/html; charset=utf-8", page.read_bytes() + SCRIPT)
        else:
            super().do_GET()

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves a folder on this machine alone; `built` changes with every build."""

    built = ""
    daemon_threads = True

    def __init__(self, site: Path, port: int = PORT) -> None:
        handler = partial(Handler, directory=str(site))
        try:
            super().__init__(("127.0.0.1", port), handler)
        except OSError:  # another program has this port
            super().__init__(("127.0.0.1", 0), handler)


def watch(root: Path, build: Build, server: Server, seen: Times, stop: threading.Event) -> None:
    """Build whenever a source differs from the ones seen and built, until told to stop."""
    while not stop.wait(PAUSE):
        now = times(root)
        if sources := changed(seen, now):
            seen = now
            names = sorted(file.relative_to(root).as_posix() for file in sources)
            shown = ", ".join([*names[:3], *(["..."] if names[3:] else [])])
            print(f"{shown} changed: building", flush=True)
            start = time.monotonic()
            if build(root, sources):
                server.built = str(time.time_ns())
                print(f"built in {time.monotonic() - start:.0f} s", flush=True)


def main(root: Path = ROOT) -> int:
    """Build, then serve until the user interrupts."""
    print("building; the first time takes about a minute", flush=True)
    seen = times(root)  # before the build: what is written during it counts
    if not build(root, set()):
        return 1
    with Server(root / FOLDER / "_build" / "html") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        try:
            watch(root, build, server, seen, threading.Event())
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
