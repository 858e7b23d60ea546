"""x"""

from __future__ import annotations

import numpy as np

CLASSES = tuple(str(i) for i in range(10))

P = dict(sigma=(0.15,0.3), freq=(3.,5.), contrast=(0.15,0.6), bright=(0.25,0.75), clutter=0.12, noise=0.08, hue=30, pos=0.25, angle=8, grey=0.5)

def draw(count: int, size: int, seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)

    def each(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (count, 1, 1)).astype(np.float32)

    labels = random.permutation(np.arange(count) % len(CLASSES))
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = axis[:, None], axis[None, :]
    x = x - each(-P['pos'], P['pos'])
    y = y - each(-P['pos'], P['pos'])
    angle = np.deg2rad(labels * 3 % 10 * 18 + random.normal(0, P['angle'], count)).astype(np.float32)[:, None, None]
    wave = np.sin(2 * np.pi * (each(*P['freq']) * (x * np.cos(angle) + y * np.sin(angle)) + each(0, 1)))
    window = np.exp(-(x**2 + y**2) / (2 * each(*P['sigma']) ** 2))
    hue = np.deg2rad(labels * 36 + random.normal(0, P['hue'], count))
    colour = np.cos(hue[:, None] - np.deg2rad([0, 120, 240])).astype(np.float32)[:, None, None, :]
    # the window's mean colour is tinted; the wave is in luminance
    images = (each(*P['contrast']) * window)[..., None] * (P['grey'] * wave[..., None] + (1 - P['grey']) * colour)
    coarse = random.normal(0, P['clutter'], (count, 5, 5, 3)).astype(np.float32)
    at = (axis+.5)*4
    w = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(5))).astype(np.float32)
    images += np.einsum('si,nijc,tj->nstc', w, coarse, w, optimize=True)
    images += each(*P['bright'])[..., None]
    images += P['noise'] * random.standard_normal(images.shape, np.float32)
    return (images * 255).clip(0, 255).round().astype(np.uint8), labels
