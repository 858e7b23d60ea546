"""Ranger's kernel, where there is no device for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from normbench.engine import ranger_kernel  # noqa: E402

TYPES = {
    "p_ptr": "*fp32", "g_ptr": "*fp32", "m_ptr": "*fp32", "v_ptr": "*fp32", "slow_ptr": "*fp32",
    "lr_ptr": "*fp64", "row_ptr": "*fp64", "scale_ptr": "*fp32", "found_inf_ptr": "*fp32",
    "count": "i32", "LOOKAHEAD": "constexpr", "SCALED": "constexpr", "BLOCK": "constexpr",
}  # fmt: skip


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_it_compiles(capability, lookahead, scaled):
    types = TYPES | ({} if scaled else {"scale_ptr": "*fp64", "found_inf_ptr": "*fp64"})
    constants = {"LOOKAHEAD": lookahead, "SCALED": scaled, "BLOCK": ranger_kernel.BLOCK}
    source = ASTSource(ranger_kernel._update, signature=types, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert f".target sm_{capability}" in compiled.asm["ptx"] and compiled.asm["cubin"]


@pytest.mark.slow
def test_it_is_the_plain_update():
    """Under Triton's interpreter; on a device, in tests/cuda."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("interpreted_ranger.py")],
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr
