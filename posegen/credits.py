"""What an image costs in credits."""

from __future__ import annotations

CREDITS_PER_IMAGE = 30
"""Price of one image."""


def price(images: int) -> int:
    """Return the credits that `images` images cost.

    >>> price(5)
    150
    """
    if images < 0:
        raise ValueError(f"cannot price {images} images")
    return images * CREDITS_PER_IMAGE
