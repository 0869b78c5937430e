"""A share per pixel as colour: overlay's back room for maps of votes and of disagreement.

It knows arrays only. The colours are viridis's, which grow evenly lighter, so that they read the same in grey and with
any colour vision.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def colours() -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB: the colour of each share from 0 to 1, in 255 steps."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(ramp, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1])


def grey(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A share in 0-1, (H, W), in 255 steps; what is above 0 stays above 0."""
    steps = np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)
    return np.maximum(steps, (share > 0).astype(np.uint8))


def strength(steps: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of the colour covers the picture, 0-1: none where the share is 0, and more the larger it is."""
    return np.asarray((steps > 0) * (0.45 + 0.4 * steps / 255), dtype=np.float32)


def heat(image: NDArray[np.uint8], share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`image`, (H, W, 3) uint8 RGB, in grey and darker, with `share` (H, W) in colour on it; a new array."""
    steps = grey(share)
    dimmed = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32) * 0.75
    cover = strength(steps)[..., None]
    mixed: NDArray[np.float32] = dimmed * (1 - cover) + colours()[steps] * cover
    return np.rint(mixed).astype(np.uint8)
