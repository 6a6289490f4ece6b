"""Build the site into _build/html, and its Chinese edition into _build/html/zh.

The two are built side by side, each with all warnings as errors. Then the Chinese pages are led
to the files of the English ones where these are the same: pictures, notebooks, code, scripts,
MathJax among them. Those are most of the size, and are kept and fetched once.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from messages import LANGUAGE, ROOT

# A build keeps millions of small objects: at Python's own thresholds, looking through them for
# what can be freed takes two fifths of its time.
PROGRAM = """
import gc
from jupyter_book.cli.main import main
gc.set_threshold(50_000, 20, 50)
main()
"""
STRICT = ("-W", "--keep-going", "-n", "--quiet")
SHARED = ("_images", "_sources", "_downloads", "_modules", "_static")
# Links of a page are relative; those of 404.html, which is shown at any address, are not.
LINK = re.compile(rf'(?<=["(])((?:\.\./)*|/zh/)((?:{"|".join(SHARED)})/[^"?#)]+)')


def command(folder: Path, *options: str) -> list[str]:
    """Return the command that builds the book that it is run in, below ``_build`` of a folder."""
    return [sys.executable, "-c", PROGRAM, "build", ".", "--path-output", str(folder), *options]


def build(root: Path, config: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a build of the site with a configuration into a folder, below its _build/html."""
    return subprocess.Popen(command(folder, "--config", str(config), *STRICT), cwd=root)


def chinese_config(root: Path) -> Path:
    """Write the configuration of the Chinese edition: that of the English one, but the language."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    config["sphinx"]["config"]["language"] = LANGUAGE
    ours = config["sphinx"]["local_extensions"]  # relative to the configuration itself
    config["sphinx"]["local_extensions"] = {name: str(root / ours[name]) for name in ours}
    path = root / "_build" / f"{LANGUAGE}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(config, allow_unicode=True))
    return path


def share(site: Path, edition: Path) -> None:
    """Lead the pages of an edition, a folder of the site, to the site's files that are the same."""
    same = {
        path.relative_to(edition).as_posix()
        for folder in SHARED
        for path in (edition / folder).rglob("*")
        if path.is_file() and is_shared(site / path.relative_to(edition), path)
    }

    def led(match: re.Match[str]) -> str:
        if match[2] not in same:
            return match[0]
        return f"/{match[2]}" if match[1] == "/zh/" else f"{match[1]}../{match[2]}"

    for page in edition.rglob("*.html"):
        page.write_text(LINK.sub(led, page.read_text()))
    for name in same:
        (edition / name).unlink()
    for folder in sorted(edition.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def is_shared(mine: Path, other: Path) -> bool:
    """Tell whether two files serve both languages: code and pictures do, whatever surrounds them."""
    if not mine.is_file():
        return False
    alike = other.suffix == ".png" or "_modules" in other.parts
    return alike or mine.read_bytes() == other.read_bytes()


def main(root: Path = ROOT) -> None:
    made, other = root / "_build/html", root / "_build/zh"
    for folder in (made, other, root / "_build/.doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    builds = [build(root, root / "_config.yml", root), build(root, chinese_config(root), other)]
    if any([process.wait() for process in builds]):  # all: none is left running
        shutil.rmtree(made, ignore_errors=True)
        sys.exit(1)
    (other / "_build/html").rename(made / "zh")
    share(made, made / "zh")


if __name__ == "__main__":
    main()
