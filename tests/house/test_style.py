"""How the code reads: small functions, small files, plain names, and a first sentence in every module."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from tests.house.sources import name_of, python_files, tree_of

CODE = python_files("server", "scripts")
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_90TH = 25
FILE_LINES_MAX = 500
METHOD_STATEMENTS_SILENT_MAX = 2
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "shared", "stuff"}


def function_lengths(path: Path) -> dict[str, int]:
    """Lines of each function with its signature and docstring, without decorators; nested functions count twice."""
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        f"{name_of(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in functions
    }


def test_no_function_is_long() -> None:
    too_long = {
        name: lines for path in CODE for name, lines in function_lengths(path).items() if lines > FUNCTION_LINES_MAX
    }
    assert not too_long


def test_nine_of_ten_functions_are_short() -> None:
    lengths = [lines for path in CODE for lines in function_lengths(path).values()]
    assert statistics.quantiles(lengths, n=10)[-1] <= FUNCTION_LINES_90TH


def test_no_file_is_long() -> None:
    too_long = {name_of(path): lines for path in CODE if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX}
    assert not too_long


def test_a_module_is_named_after_what_it_holds() -> None:
    everywhere = python_files("server", "scripts", "tests")
    empty = [name_of(path) for path in everywhere if EMPTY_NAMES & {path.stem, *path.parts}]
    assert not empty


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path) for path in python_files("server", "scripts", "tests") if not ast.get_docstring(tree_of(path))
    ]
    assert not silent


def is_protocol(kind: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(parent) for parent in kind.bases)


def test_a_public_method_of_some_length_says_what_it_does() -> None:
    """A protocol's or a one-step method's signature may speak for itself."""
    silent = [
        f"{name_of(path)}:{method.lineno} {kind.name}.{method.name}"
        for path in CODE
        for kind in ast.walk(tree_of(path))
        if isinstance(kind, ast.ClassDef) and not kind.name.startswith("_") and not is_protocol(kind)
        for method in kind.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        and not method.name.startswith("_")
        and len(method.body) > METHOD_STATEMENTS_SILENT_MAX
        and not ast.get_docstring(method)
    ]
    assert not silent


def test_no_test_is_skipped_for_ever_or_without_a_reason() -> None:
    marks = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("skip", "xfail")
        and ast.unparse(node.value) == "pytest.mark"
    ]
    assert not marks


def test_nothing_is_left_to_be_done_later() -> None:
    """A note to finish something belongs to the tracker, not into the code."""
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "raise NotImplementedError")
    lines = [f"{name_of(path)}: {line}" for path in CODE for line in path.read_text().splitlines()]
    assert not [line for line in lines if any(mark in line for mark in marks)]
