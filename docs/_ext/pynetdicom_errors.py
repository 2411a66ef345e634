"""Collects what the library says when something is wrong, and lists it by causes.

Read from the source, not from a running program: what is given to an exception, to a logger at
WARNING or ERROR, to a status as its Error Comment, or printed on standard error. A text that is in
a variable, a constant, a parameter or the value of a function of ours is looked for there.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pynetdicom_tables import Table, list_table
from sphinx.application import Sphinx

from pynetdicom import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pynetdicom"
PAGE = ROOT / "docs" / "error_texts.rst"

_FORMAT = re.compile(r"%(?:\(\w+\))?[-\d.]*[sdrfxX]")

GAP = "…"
"""What stands for what differs from one time to the next."""

_LEVELS = {"warning": "WARNING", "error": "ERROR", "exception": "ERROR", "critical": "ERROR"}
_SAID = {
    "comment": "Error Comment",
    "ErrorComment": "Error Comment",
    "problem": "``status.problem``",
    "gone": "``status.problem``",
}
"""Parameters and attributes that are shown to a user, or sent to a peer, as they are."""

_ALL_OF = {"upper_layer/ended", "upper_layer/tls_faults"}
"""Modules of which every text is part of an error."""

_NAMESAKES = 4
"""A name that more functions have than these is not followed."""

_BUILTIN = {
    name
    for name, one in vars(builtins).items()
    if isinstance(one, type) and issubclass(one, (Exception, SystemExit))
}


class Text(NamedTuple):
    """Something that is said: where, and with `GAP` for what differs."""

    module: str
    text: str

    def __str__(self) -> str:
        return f"{self.module}: {self.text}"


class Function(NamedTuple):
    """A function of a module, so that its parameters and its value can be followed."""

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def parameters(self) -> list[str]:
        """Their names, without that of the object."""
        arguments = self.node.args
        names = [
            one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        ]
        return [name for name in names if name not in ("self", "cls")]


class Module:
    """The source of a module."""

    def __init__(self, path: Path) -> None:
        self.name = path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__")
        self.tree = ast.parse(path.read_text())
        self.nodes = [*ast.walk(self.tree)]
        self.calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        self.owner: dict[ast.AST, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.functions: dict[str, Function] = {}
        for node in self.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions[node.name] = Function(self, node)
                self.owner.update(dict.fromkeys(ast.walk(node), node))
        self.constants = {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """What its names stand for, as module and name there."""
        return {
            alias.asname or alias.name: (_path_of(node.module or ""), alias.name)
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pynetdicom")
            for alias in node.names
        }

    def called(self, called: ast.expr) -> list[Function]:
        """The functions of the package that a call may be of."""
        name = _name(called)
        if isinstance(called, ast.Name):
            where, there = self.imported.get(name, (self.name, name))
            if where in modules() and there in modules()[where].functions:
                return [modules()[where].functions[there]]
            return by_name().get(f"_{name}", [])  # a method that was handed over
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            if called.value.id == "self" and name in self.functions:
                return [self.functions[name]]
            where, there = self.imported.get(called.value.id, ("", ""))
            found = modules().get(f"{where}/{there}".lstrip("/"))
            if found is not None:
                return [found.functions[name]] if name in found.functions else []
        # Of an object: the methods of that name, where it says something.
        ones = by_name().get(name, [])
        return ones if len(ones) <= _NAMESAKES else []


def _path_of(dotted: str) -> str:
    return dotted.removeprefix("pynetdicom").lstrip(".").replace(".", "/")


@cache
def modules() -> dict[str, Module]:
    """All modules of the package by their names."""
    return {one.name: one for one in map(Module, sorted(PACKAGE.rglob("*.py")))}


@cache
def by_name() -> dict[str, list[Function]]:
    """All functions and methods of a name."""
    found: dict[str, list[Function]] = {}
    for module in modules().values():
        for node in module.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(node.name, []).append(Function(module, node))
    return found


@cache
def exceptions() -> frozenset[str]:
    """The names of exceptions, Python's and ours."""
    bases = {
        node.name: {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
        for module in modules().values()
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
    }
    found = set(_BUILTIN)
    while more := {name for name, its in bases.items() if its & found} - found:
        found |= more
    return frozenset(found)


@cache
def makers() -> dict[str, str]:
    """The functions that make an exception, and which one."""
    return {
        name: kind
        for module in modules().values()
        for name, function in module.functions.items()
        if function.node.returns and (kind := _name(function.node.returns)) in exceptions()
    }


def _name(called: ast.expr) -> str:
    return str(getattr(called, "attr", getattr(called, "id", "")))


class _Said:
    """Collects texts, and follows parameters back to where they are given."""

    def __init__(self) -> None:
        self.found: dict[Text, set[str]] = {}
        self._sinks: dict[tuple[str, str, str], str] = {}  # module, function, parameter: how told
        self._done: set[tuple[str, int, str]] = set()

    def all(self) -> dict[Text, set[str]]:
        for module in modules().values():
            if module.name in _ALL_OF:
                parts = {id(one.value) for one in module.nodes if isinstance(one, ast.Expr)}
                for node in module.nodes:
                    if isinstance(node, ast.JoinedStr):
                        parts.update(map(id, node.values))
                    if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in parts:
                        self._take(module, node, "``assoc.ended``")
            for node in module.nodes:
                for expression, told in _told(node):
                    self._take(module, expression, told)
        while True:
            known = dict(self._sinks)
            for module in modules().values():
                for call in module.calls:
                    self._given(module, call, known)
            if known == self._sinks:
                return dict(sorted(self.found.items()))

    def _given(
        self, module: Module, call: ast.Call, sinks: dict[tuple[str, str, str], str]
    ) -> None:
        """Take what a call gives as a parameter that is known to be said."""
        for function in module.called(call.func):
            given = [*zip(function.parameters, call.args, strict=False)]
            given += [(one.arg, one.value) for one in call.keywords if one.arg]
            for name, value in given:
                told = sinks.get((function.module.name, function.node.name, name))
                if told is not None:
                    self._take(module, value, told)

    def _take(self, module: Module, expression: ast.expr, told: str) -> None:
        key = (module.name, id(expression), told)
        if key in self._done:
            return
        self._done.add(key)
        for part in self._texts(module, expression, told):
            if is_text(part):
                self.found.setdefault(Text(module.name, part.strip()), set()).add(
                    _shown(told, module.name)
                )

    def _texts(self, module: Module, node: ast.expr, told: str) -> Iterator[str]:
        """The texts of an expression; those that come from elsewhere are taken where they are."""
        match node:
            case ast.Constant(str(text)):
                yield _FORMAT.sub(GAP, text).replace("%%", "%")
            case ast.JoinedStr(values):
                yield "".join(one.value if isinstance(one, ast.Constant) else GAP for one in values)
                for one in values:
                    if isinstance(one, ast.FormattedValue):
                        yield from filter(_is_phrase, self._texts(module, one.value, told))
            case ast.BinOp(ast.expr() as left, ast.Add(), ast.expr() as right):
                ends = [next(iter(self._texts(module, one, told)), GAP) for one in (left, right)]
                yield "".join(ends)
            case ast.BinOp(left, ast.Mod()):
                yield from self._texts(module, left, told)
            case ast.IfExp(_, one, other):
                yield from self._texts(module, one, told)
                yield from self._texts(module, other, told)
            case ast.Name(name):
                self._follow(module, node, name, told)
            case ast.Call(func, args):
                if isinstance(func, ast.Attribute) and func.attr != "split":
                    yield from filter(_is_phrase, self._texts(module, func.value, told))
                functions = module.called(func)
                if functions or _name(func) == "join":
                    args = [one for one in args if isinstance(one, (ast.Constant, ast.JoinedStr))]
                for function in functions if len(functions) == 1 else ():
                    for one in ast.walk(function.node):
                        if isinstance(one, ast.Return) and one.value is not None:
                            self._take(function.module, one.value, told)
                for one in args:
                    yield from filter(_is_phrase, self._texts(module, one, told))
            case (
                ast.BoolOp(values=parts)
                | ast.Tuple(parts)
                | ast.List(parts)
                | ast.Dict(values=parts)
            ):
                for one in parts:
                    yield from self._texts(module, one, told)
            case ast.Subscript(value) | ast.NamedExpr(value=value):
                yield from self._texts(module, value, told)

    def _follow(self, module: Module, node: ast.expr, name: str, told: str) -> None:
        """Take what a name stands for."""
        owner = module.owner.get(node)
        function = None if owner is None else Function(module, owner)
        if function is not None:
            for one in ast.walk(function.node):
                for target, value in _assigned(one):
                    if isinstance(target, ast.Name) and target.id == name:
                        self._take(module, value, told)
            if name in function.parameters:
                self._sinks.setdefault((module.name, function.node.name, name), told)
                return
        where, there = module.imported.get(name, (module.name, name))
        source = modules().get(where)
        if source is not None and there in source.constants:
            self._take(source, source.constants[there], told)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value


def _told(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """What a node says when something is wrong, and how."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        name = _name(node.exc.func)
        for one in (*node.exc.args, *(keyword.value for keyword in node.exc.keywords)):
            yield one, makers().get(name, name)
    if isinstance(node, ast.Call):
        name = _name(node.func)
        if name in exceptions():
            for one in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield one, name
        elif name in _LEVELS and re.search("(?i)log|terminal", ast.unparse(node.func)):
            for one in node.args:
                yield one, _LEVELS[name]
        elif name == "print" and any(one.arg == "file" for one in node.keywords):
            for one in node.args:
                if isinstance(one, ast.JoinedStr) and not ast.unparse(one).startswith("f'\\r"):
                    yield one, "standard error"
        elif name == "log" and len(node.args) > 1:  # at a level that depends, or an exception
            for one in node.args[1:]:
                yield one, "ERROR"
        for keyword in node.keywords:
            if keyword.arg in _SAID:
                yield keyword.value, _SAID[keyword.arg]
    for target, value in _assigned(node):
        if isinstance(target, ast.Attribute) and target.attr in _SAID:
            yield value, _SAID[target.attr]


def _shown(told: str, module: str) -> str:
    """How it is told, as a reader sees it."""
    if told in ("WARNING", "ERROR"):
        return f"log, {told}"
    if told in {*_BUILTIN, *vars(errors)}:
        return f"``{told}``"
    if " " in told or "`" in told:
        return told
    return "standard error" if module.startswith("apps/") else "log, or Error Comment"


def is_text(text: str) -> bool:
    """Whether it says something, and is no mere name, key or format."""
    words = re.findall(r"[A-Za-z][A-Za-z]+", text.replace(GAP, " "))
    letters = sum(map(len, words))
    enough = (len(words) > 1 and letters > 7) or (GAP in text and letters > 5)
    says = GAP in text or any(one == "No" or one[0].islower() for one in words)
    return " " in text and enough and says and "\n" not in text and "\\" not in text


def _is_phrase(text: str) -> bool:
    return " " in text.strip() and is_text(text)


@cache
def collected() -> dict[Text, set[str]]:
    """All that is said, and how."""
    return _Said().all()


# The page

_CAUSE = re.compile(r"^\.\. error-texts::\n\n((?:   .*\n)+)", re.MULTILINE)


def patterns_of(rows: str) -> list[str]:
    """The patterns of a cause, a line each: module, colon, text; ``*`` stands for anything."""
    return [line.strip() for line in rows.splitlines() if line.strip()]


@cache
def causes() -> list[list[str]]:
    """The patterns of each cause on the page."""
    return [patterns_of(rows) for rows in _CAUSE.findall(PAGE.read_text() + "\n")]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


@cache
def pattern_for(text: Text) -> str | None:
    """The pattern that says most of a text, if there is any."""
    fitting = [
        pattern
        for cause in causes()
        for pattern in cause
        if _compiled(pattern).fullmatch(str(text))
    ]
    return max(fitting, key=lambda pattern: len(pattern.replace("*", "")), default=None)


class ErrorTexts(Table):
    """``.. error-texts::``: all that is said of one cause, by patterns for it."""

    has_content = True

    def text(self) -> str:
        patterns = {*patterns_of("\n".join(self.content))}
        where: dict[str, list[Text]] = {}
        for one in collected():
            if pattern_for(one) in patterns:
                where.setdefault(one.text, []).append(one)
        rows = (
            (
                f"``{text}``",
                "; ".join(sorted(set().union(*(collected()[one] for one in ones)))),
                ", ".join(f"``{one.module}``" for one in ones),
            )
            for text, ones in sorted(
                where.items(), key=lambda row: row[0].strip(GAP + " :").lower()
            )
        )
        return list_table(("Text", "How", "By"), rows, "error-texts")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, and have the page follow the source."""
    app.add_directive("error-texts", ErrorTexts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
