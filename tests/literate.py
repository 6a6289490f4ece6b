"""The two promises of the literate rule that need the whole book: it is complete, and in order.

Complete: every public function and class of the package is woven into a chapter.
In order: what chapter k weaves or imports needs only what chapters 1 to k weave, followed
through every name of the package that its source refers to. Constants and type aliases are
free, and so are private helpers that no chapter weaves; what they refer to counts.
Annotations do not count: nothing evaluates them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from weave import definitions, notebooks, woven_cells

Node = ast.AST
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Object(NamedTuple):
    """A top-level object of the package, and the objects that its source refers to."""

    public: bool  # a function or class whose name has no underscore before it
    needs: tuple[str, ...]


def children(node: Node) -> Iterator[Node]:
    """Yield the parts of a syntax tree's node that are evaluated: all but annotations."""
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            yield from (
                n for n in (value if isinstance(value, list) else [value]) if isinstance(n, Node)
            )


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything in it, annotations left out."""
    yield node
    for child in children(node):
        yield from walk(child)


def local_names(function: Node) -> set[str]:
    """Return the names that a function binds: arguments, functions in it, and what it assigns."""
    inside = [node for child in children(function) for node in walk(child)]
    bound = {n.arg for n in inside if isinstance(n, ast.arg)}
    bound |= {n.name for n in inside if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return bound | {
        n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def dotted(node: Node) -> str | None:
    """Return ``a.b.c`` for a chain of attributes of a name, None for anything else."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return base and f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def references(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the global names and the dotted chains of them that a node loads."""
    if isinstance(node, FUNCTIONS):
        bound |= local_names(node)
    chain = dotted(node)
    if chain is not None:
        if chain.partition(".")[0] not in bound:
            yield chain
        return
    for child in children(node):
        yield from references(child, bound)


def imports(tree: Node, package: str) -> dict[str, str]:
    """Return what each name stands for that a tree imports from the package, wherever it does."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            relative = [package, node.module] if node.level else [node.module]
            source = ".".join(part for part in relative if part)
            found |= {n.asname or n.name: f"{source}.{n.name}" for n in node.names}
        elif isinstance(node, ast.Import):
            found |= {n.asname or n.name.partition(".")[0]: n.name if n.asname else n.name.partition(".")[0]
                      for n in node.names}  # fmt: skip
    return {name: target for name, target in found.items() if target.split(".")[0] == package}


class Package:
    """The objects of a package, by full name, read from its source."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        modules = {f"{self.name}.{file.stem}": file for file in sorted(folder.glob("*.py"))}
        init = modules.pop(f"{self.name}.__init__")
        self.exports = imports(ast.parse(init.read_text()), self.name)
        self.free = {self.name, *modules, *(f"{self.name}.{name}" for name in definitions(init))}
        self.objects: dict[str, Object] = {}
        found = {module: definitions(file) for module, file in modules.items()}
        names = {f"{module}.{name}" for module in found for name in found[module]}
        for module, file in modules.items():
            scope = imports(ast.parse(file.read_text()), self.name)
            scope |= {name: f"{module}.{name}" for name in found[module]}
            for name, (node, _) in found[module].items():
                self.objects[f"{module}.{name}"] = self.read(name, node, scope, names)

    def read(self, name: str, node: ast.stmt, scope: dict[str, str], names: set[str]) -> Object:
        """Return what one definition is and needs."""
        needs = {self.resolve(chain, scope, names) for chain in references(node)}
        defines = isinstance(node, ast.FunctionDef | ast.ClassDef)
        return Object(defines and not name.startswith("_"), tuple(sorted(needs & names)))

    def resolve(self, chain: str, scope: dict[str, str], names: set[str]) -> str:
        """Return the full name of the object that a dotted chain of names reaches, or a guess."""
        first, _, rest = chain.partition(".")
        parts = [*scope.get(first, first).split("."), *rest.split(".")]
        if parts[0] == self.name and len(parts) > 1 and parts[1] in self.exports:
            parts = [*self.exports[parts[1]].split("."), *parts[2:]]
        for length in range(len(parts), 0, -1):
            if ".".join(parts[:length]) in names:
                return ".".join(parts[:length])
        return ".".join(part for part in parts if part)


class Use(NamedTuple):
    """A place in the book that needs an object: where, which chapter, which object."""

    where: str
    chapter: int
    name: str


def code_of(cell: dict[str, Any]) -> Node:
    """Return the syntax tree of a code cell; lines that IPython alone understands are dropped."""
    lines = "".join(cell["source"]).split("\n")
    return ast.parse("\n".join("pass" if line.startswith(("%", "!")) else line for line in lines))


def imported(root: Path, package: Package) -> Iterator[Use]:
    """Yield each object of the package that a notebook imports or reaches through a module."""
    names = set(package.objects)
    for chapter, path in enumerate(notebooks(root)):
        scope: dict[str, str] = {}
        for number, cell in enumerate(json.loads(path.read_text())["cells"], 1):
            if cell["cell_type"] != "code" or any(
                "weave:" in tag for tag in cell["metadata"].get("tags", [])
            ):
                continue
            tree = code_of(cell)
            new = imports(tree, package.name)
            scope |= new
            used = {
                *new,
                *(c for c in references(tree) if "." in c and c.partition(".")[0] in scope),
            }
            for target in sorted({package.resolve(chain, scope, names) for chain in used}):
                yield Use(f"{path.relative_to(root)} cell {number}", chapter, target)


def woven(root: Path) -> Iterator[Use]:
    """Yield each woven object."""
    for chapter, path in enumerate(notebooks(root)):
        for where, name, _ in woven_cells(root, path, json.loads(path.read_text())):
            yield Use(where, chapter, name)


def missing(root: Path, package: Package) -> list[str]:
    """Name each public function and class that no chapter weaves."""
    names = {use.name for use in woven(root)}
    return [
        f"{name} is woven in no chapter: give a cell the tag weave:{name}"
        for name, found in package.objects.items()
        if found.public and name not in names
    ]


def disorder(root: Path, package: Package) -> list[str]:
    """Name each cell that needs what a later chapter weaves, or what the package does not have.

    An object that no chapter weaves is `missing`'s to name. Each chapter is told once of each.
    """
    first: dict[str, Use] = {}
    for use in woven(root):
        first.setdefault(use.name, use)
    faults: dict[tuple[int, str], str] = {}
    for use in [*woven(root), *imported(root, package)]:
        if use.name.partition(".")[0] != package.name:
            continue  # of `experiments`, woven so that a page and its stored table agree
        if use.name not in package.objects and use.name not in package.free:
            faults[use.chapter, use.name] = f"{use.where}: {use.name} is unknown to the package"
        for chain in needed(use.name, package):
            source = first.get(chain[-1], use)
            if source.chapter > use.chapter:
                fault = f"{use.where}: {' needs '.join(chain)}, woven later, in {source.where}"
                faults.setdefault((use.chapter, chain[-1]), fault)
    return list(faults.values())


def needed(name: str, package: Package) -> Iterator[list[str]]:
    """Yield, once for each object that a name needs, itself included, the chain that leads to it."""
    queue, seen = [[name]], {name}
    for chain in queue:
        yield chain
        found = package.objects.get(chain[-1])
        for need in found.needs if found else ():
            if need not in seen:
                seen.add(need)
                queue.append([*chain, need])
