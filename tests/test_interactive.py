"""Code that lies in no module: named, sent by value, known by the source of all that it uses."""

import itertools
import linecache
import sys
from types import ModuleType

import pytest
from torch import nn

from normbench.errors import UserError
from normbench.interactive import import_path, is_interactive, pack, source_of, unpack
from normbench.outside import outside_parts

CELL = """
import math
import sibling
from torch import nn

SCALE = [1.0, {"b": 2.0}]
UNUSED = 1

def helper(x):
    return x * SCALE[0]

class Base(nn.Module):
    def __init__(self, num_channels):
        super().__init__()

class Mine(Base):
    floor = 1e-5

    @property
    def twice(self):
        return 2 * helper(1)

    def forward(self, x):
        return helper(x) + sum(math.sqrt(sibling.ONE) for _ in range(2))
"""


@pytest.fixture
def sibling(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "sibling.py"
    path.write_text("ONE = 1\n")
    yield path
    sys.modules.pop("sibling", None)


@pytest.fixture
def cell(monkeypatch, sibling):
    """cell(text) -> what __main__ is after a notebook's cell or a script."""

    numbers = itertools.count()

    def execute(text):
        main, file = ModuleType("__main__"), f"<cell {next(numbers)}>"
        monkeypatch.setitem(sys.modules, "__main__", main)
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
        exec(compile(text, file, "exec"), vars(main))
        return main

    return execute


def test_what_can_be_imported_has_its_import_path(cell):
    assert import_path(nn.BatchNorm2d) == "torch.nn.modules.batchnorm.BatchNorm2d"
    assert import_path(cell(CELL).Mine) == "__main__.Mine"
    assert is_interactive("__main__.Mine") and not is_interactive("mine.Mine")


def test_it_arrives_elsewhere_with_all_that_it_uses(cell):
    cell(CELL)
    packed = pack(["__main__.Mine", "torch.nn.BatchNorm2d"])
    elsewhere = cell("")
    unpack(packed)
    assert elsewhere.Mine(3).twice == 2.0
    assert pack(["torch.nn.BatchNorm2d"]) == b""


def test_what_cannot_be_sent_is_told_in_a_line(cell):
    cell("import threading\nlock = threading.Lock()\ndef layer(c):\n    return lock")
    with pytest.raises(UserError, match="^layer cannot be sent .*TypeError: cannot pickle"):
        pack(["__main__.layer"])


SAME = {
    "a remark elsewhere": ("UNUSED = 1", "UNUSED = 1  # or two"),
    "another value that it does not use": ("UNUSED = 1", "UNUSED = 2"),
    "its place": ("import math", "\n\n\nimport math"),
}
OTHER = {
    "its text": ("floor = 1e-5", "floor = 1e-4"),
    "its base": ("super().__init__()", "super().__init__(); self.n = 1"),
    "a function that it calls": ("x * SCALE[0]", "x / SCALE[0]"),
    "a value that that uses": ('"b": 2.0', '"b": 3.0'),
}


@pytest.mark.parametrize("change", [*SAME, *OTHER])
def test_its_source_is_what_it_uses_and_nothing_else(cell, change):
    settings = {"norm": {"layer": {"_target_": "__main__.Mine"}}}
    cell(CELL)
    before = outside_parts(settings)
    text = CELL.replace(*(SAME | OTHER)[change])
    assert text != CELL
    cell(text)
    assert (outside_parts(settings) == before) == (change in SAME)


def test_so_is_a_file_beside_it_that_is_not_installed(cell, sibling):
    cell(CELL)
    before = source_of("__main__.Mine")
    sibling.write_text("ONE = 2\n")
    assert source_of("__main__.Mine") != before


def test_where_python_has_kept_no_text_it_is_known_by_its_code(cell):
    sources = []
    for text in (CELL, CELL, CELL.replace("x * SCALE", "x / SCALE")):
        cell(text)
        linecache.clearcache()
        sources.append(source_of("__main__.Mine"))
    assert sources[0] == sources[1] != sources[2]
    assert source_of("__main__.Nothing") is None
