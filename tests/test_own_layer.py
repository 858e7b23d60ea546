"""The README's example of a layer of one's own, done as the README says."""

import re
from pathlib import Path

from command_line import TINY

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readmes_own_layer_works_as_it_stands(normbench_command):
    name, code = re.search(r"```python\n# (\w+\.py)\n(.*?)```", README, re.S).groups()
    (normbench_command.folder / name).write_text(code)
    command = re.search(r"normbench (run .*norm\.layer\._target_=mylayer\S+)", README).group(1)
    code, out, err = normbench_command(
        *command.split(), *TINY, "grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]"
    )
    assert code == 0, err
    assert len(normbench_command.records) == 1
    assert "cnn4 on synthetic: dyt" in out
