"""What images cost in credits."""

from __future__ import annotations

from dataclasses import dataclass

from posegen.settings import CREDITS_BACKGROUND, CREDITS_PER_IMAGE, Settings, load_settings


@dataclass(frozen=True)
class Prices:
    """The price list, in credits.

    Attributes
    ----------
    image : int
        One image.
    background : int
        What a changed background adds to an image.
    """

    image: int = CREDITS_PER_IMAGE
    background: int = CREDITS_BACKGROUND

    @classmethod
    def from_settings(cls, settings: Settings) -> Prices:
        """Return the prices that the environment asks for."""
        return cls(settings.credits_per_image, settings.credits_background)

    def price(self, images: int, backgrounds: int = 0) -> int:
        """Return the credits that `images` images cost, `backgrounds` of them with a changed background.

        Raises
        ------
        ValueError
            Less than no image, or more changed backgrounds than images.

        Examples
        --------
        >>> Prices().price(5), Prices().price(5, backgrounds=2)
        (150, 170)
        """
        if not 0 <= backgrounds <= images:
            raise ValueError(f"cannot price {images} images, {backgrounds} with a changed background")
        return images * self.image + backgrounds * self.background


def price(images: int, backgrounds: int = 0) -> int:
    """Return what images cost at the prices that the environment asks for (by default 30, and 10 more).

    Raises
    ------
    ValueError
        Less than no image, or more changed backgrounds than images.
    ParameterError
        An environment variable has a value that is not allowed.

    Examples
    --------
    >>> price(5)
    150
    """
    return Prices.from_settings(load_settings()).price(images, backgrounds)
