"""Code that lies in no module: of a notebook's cell, of a script that runs, of a function's inside.

Other processes cannot import it. So it is brought to those that train by value, through the pipe
that they get their runs from; never by way of a file, which somebody else could have written. Its
source is what Python remembers of where it was defined.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import inspect
import linecache
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any

from normbench.errors import UserError
from normbench.source_files import own_file

MAIN = "__main__"
PLAIN = (type(None), bool, int, float, complex, str, bytes)
CONTAINERS = (list, tuple, dict, set, frozenset)
READS = ("LOAD_GLOBAL", "LOAD_NAME")


def is_interactive(path: str) -> bool:
    """Whether an import path names code that lies in no module."""
    return path.startswith(f"{MAIN}.")


def import_path(part: Any) -> str:
    """What a config calls a class or a function: where it is imported from, or ``__main__.NAME``
    for what can be imported from nowhere.

    Raises:
        UserError: if another one is there by now.
    """
    path = f"{part.__module__}.{part.__qualname__}"
    if part.__module__ == MAIN or (there := _found(path)) is None:
        return f"{MAIN}.{part.__name__}"
    if there is not part:
        raise UserError(
            f"{path} is another {part.__name__} by now, loaded later: import it again from there"
        )
    return path


@contextmanager
def standing_in_main(parts: Mapping[str, Any]) -> Iterator[None]:
    """Inside, these are found in ``__main__``, by name; afterwards it is as it was."""
    main, absent = vars(sys.modules[MAIN]), object()
    before = {name: main.get(name, absent) for name in parts}
    main.update(parts)
    try:
        yield
    finally:
        for name, part in before.items():
            if part is absent:
                main.pop(name, None)
            else:
                main[name] = part


def pack(paths: Iterable[str]) -> bytes:
    """What is interactive among these import paths, for another process of this very user.

    Raises:
        UserError: naming what cannot be sent, such as a class that refers to an open file.
    """
    import cloudpickle

    packed = {}
    for path in filter(is_interactive, paths):
        name = path.removeprefix(f"{MAIN}.")
        try:
            packed[name] = cloudpickle.dumps(_found(path))
        except Exception as error:  # whatever it refers to may raise anything
            raise UserError(
                f"{name} cannot be sent to the processes that train ({type(error).__name__}: "
                f"{str(error).strip().partition(chr(10))[0]}): keep out of it what cannot be copied"
            ) from error
    return pickle.dumps(packed) if packed else b""


def unpack(packed: bytes) -> None:
    """Have what was packed found in the ``__main__`` of this process."""
    if packed:
        for name, part in pickle.loads(packed).items():
            setattr(sys.modules[MAIN], name, pickle.loads(part))


def _found(path: str) -> Any:
    """What an import path names among what is imported; None if nothing."""
    names = path.split(".")
    for end in range(len(names) - 1, 0, -1):
        part: Any = sys.modules.get(".".join(names[:end]))
        if part is not None:
            for name in names[end:]:
                part = getattr(part, name, None)
            return part
    return None


def source_of(path: str) -> bytes | None:
    """The text of an interactive part, and of all that it uses and that its author may change:
    functions, classes and values of other cells, files that are not installed. None if there is
    no such part."""
    part = _found(path)
    if part is None:
        return None
    texts, seen, todo = [], dict[int, Any](), [part]
    while todo:
        thing = todo.pop(0)
        if id(thing) not in seen:
            seen[id(thing)] = thing  # kept, so that no other gets its id
            text, used = _look(thing)
            texts.append(text)
            todo += used
    return "\n".join(texts).encode()


def _look(thing: Any) -> tuple[str, list[Any]]:
    """What a thing is, as text, and what it uses."""
    if isinstance(thing, PLAIN):
        return repr(thing), []
    if isinstance(thing, CONTAINERS):
        items = [*thing.items()] if isinstance(thing, dict) else [*thing]
        items = sorted(items, key=repr) if isinstance(thing, set | frozenset) else items
        return f"{type(thing).__name__} of {len(items)}", items
    if isinstance(thing, ModuleType):
        return _module_text(thing), []
    if not isinstance(thing, type | FunctionType):
        return _object_text(thing), []
    if thing.__module__ != MAIN and _found(f"{thing.__module__}.{thing.__qualname__}") is thing:
        return f"{thing.__qualname__} of {_module_text(sys.modules[thing.__module__])}", []
    functions = [thing] if isinstance(thing, FunctionType) else [*_functions(thing)]
    used = [value for function in functions for value in _used_by(function)]
    if isinstance(thing, type):
        used += thing.__bases__
        used += [v for name, v in vars(thing).items() if isinstance(v, PLAIN) and name[0] != "_"]
    return _definition(thing, functions), used


def _functions(kind: type) -> Iterator[FunctionType]:
    """The functions that a class is made of, without what they are wrapped in."""
    for value in vars(kind).values():
        accessors = (value.fget, value.fset, value.fdel) if isinstance(value, property) else [value]
        for one in accessors:
            one = inspect.unwrap(getattr(one, "__func__", one)) if callable(one) else one
            if isinstance(one, FunctionType):
                yield one


def _used_by(function: FunctionType) -> Iterator[Any]:
    """The values of the names that a function does not define itself."""
    for name in sorted(set(_names(function.__code__))):
        if name in function.__globals__:
            yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


def _names(code: CodeType) -> Iterator[str]:
    """The global names that a function reads, and those inside of it."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname in READS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _definition(thing: Any, functions: list[FunctionType]) -> str:
    """The source of a class or function; its compiled code where Python has kept none."""
    for function in functions:
        code = function.__code__
        lines = linecache.getlines(code.co_filename, function.__globals__)
        if found := _statement("".join(lines), code.co_firstlineno, thing.__qualname__):
            return found
    compiled = [(f.__qualname__, f.__code__.co_code.hex(), _constants(f)) for f in functions]
    return f"{thing.__qualname__} {compiled}"


def _statement(text: str, line: int, qualname: str) -> str | None:
    """The statement of a text that defines a name and has a line inside."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # such as a cell with a magic: then it is known by its code
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        if node.name == qualname.rpartition(".")[2] and first <= line <= (node.end_lineno or 0):
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return None


def _constants(function: FunctionType) -> list[str]:
    return [repr(c) for c in function.__code__.co_consts if not isinstance(c, CodeType)]


def _module_text(module: ModuleType) -> str:
    """A module's name and, if it is not installed, what its file holds."""
    file = own_file(module)
    try:
        return module.__name__ + ("" if file is None else f" {_digest(file.read_bytes())}")
    except OSError:  # it is gone
        return module.__name__


def _object_text(thing: Any) -> str:
    import cloudpickle

    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    try:
        return f"{kind} {_digest(cloudpickle.dumps(thing))}"
    except Exception:  # that it cannot be sent anywhere is told when it is
        return kind


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
