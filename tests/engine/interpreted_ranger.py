"""Ranger's kernel under Triton's interpreter against the operators; a program of its own, as Triton
asks once whether it is to interpret.
"""

import math

import torch

from normbench.engine.optimizers import Ranger
from normbench.engine.ranger_kernel import BLOCK, update_by_kernel
from normbench.engine.ranger_update import coefficients, set_b1, update_by_operators

STEPS = 14  # of which the first few are not rectified


def compare(lookahead, scaled, changing_b1, count=BLOCK + 3):
    generator = torch.Generator().manual_seed(0)

    def noise():
        return torch.randn(count, generator=generator)

    group = Ranger(
        [torch.nn.Parameter(torch.zeros(1))], weight_decay=0.1, lookahead_steps=lookahead
    ).param_groups[0]
    table = coefficients(group, STEPS)
    lr = torch.tensor(0.05, dtype=torch.float64)
    plain = [noise(), noise(), noise().abs(), noise() if lookahead else None]
    kernel = [t if t is None else t.clone() for t in plain]
    for step in range(STEPS):
        if changing_b1:
            set_b1(table[step], torch.tensor(0.95 - step / 100), torch.tensor([step]))
        g, scaler = noise(), ()
        if scaled:
            overflow = step % 4 == 1
            scaler = torch.tensor(8.0), torch.tensor(float(overflow))
            g[7] = math.inf if overflow else 1
        for (p, *moments), update in ((plain, update_by_operators), (kernel, update_by_kernel)):
            update(p, g, *moments, lr, table[step], *scaler)
    for one, other in zip(plain, kernel, strict=True):
        if one is not None:
            assert one.isfinite().all()
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for lookahead in (0, 6):
        compare(lookahead, scaled=False, changing_b1=True)
        compare(lookahead, scaled=True, changing_b1=False)
    print("the same")
