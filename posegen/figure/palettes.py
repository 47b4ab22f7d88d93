"""Curated colours and garments that go together."""

from __future__ import annotations

from dataclasses import dataclass

BUILDS = {"slim": (-1.0, 0.0), "average": (0.0, 0.1), "athletic": (-0.25, 1.0), "sturdy": (1.0, 0.2)}
"""Heaviness and muscle."""
AGES = {"young adult": 0.0, "adult": 0.3, "middle-aged": 0.65, "senior": 1.0}

SKIN = {
    "very fair": "#f3d3bf", "fair": "#ecc3a6", "light": "#e2b08d", "medium": "#cf9a73",
    "olive": "#bd8c63", "tan": "#a9754d", "brown": "#80533a", "dark": "#573828",
}  # fmt: skip
HAIR = {
    "black": "#17130f", "dark brown": "#33221a", "brown": "#523523", "light brown": "#7d5a3c",
    "auburn": "#6b2f1c", "red": "#9a4a22", "blonde": "#c69d62", "grey": "#8f8f8f", "white": "#d9d8d4",
}  # fmt: skip
HAIR_BY_SKIN: dict[str, tuple[str, ...]] = {
    "very fair": ("blonde", "light brown", "red", "auburn", "brown"),
    "fair": ("blonde", "light brown", "brown", "auburn", "dark brown"),
    "light": ("light brown", "brown", "dark brown", "blonde", "black"),
    "medium": ("brown", "dark brown", "black", "dark brown"),
    "olive": ("dark brown", "black", "brown"),
    "tan": ("dark brown", "black", "black"),
    "brown": ("black", "dark brown", "black"),
    "dark": ("black", "black", "dark brown"),
}
GREYS: dict[str, tuple[str, ...]] = {
    "young adult": ("",),
    "adult": ("",),
    "middle-aged": ("", "grey"),
    "senior": ("grey", "grey", "white"),
}
"""What age makes of the hair; "" leaves its colour."""
EYES_BY_SKIN: dict[str, tuple[str, ...]] = {
    "very fair": ("#5f7f93", "#6a7f5c", "#5b4632"),
    "fair": ("#5f7f93", "#5c6f4e", "#5b4632", "#4a3524"),
    "light": ("#5c6f4e", "#5b4632", "#4a3524"),
    "medium": ("#5b4632", "#4a3524"),
    "olive": ("#4a3524", "#3a281b"),
    "tan": ("#3a281b", "#4a3524"),
    "brown": ("#2d1e15", "#3a281b"),
    "dark": ("#2d1e15", "#241811"),
}
HAIR_STYLES: dict[str, tuple[str, ...]] = {
    "female": ("long", "long", "bob", "ponytail", "ponytail", "bun", "curly", "short"),
    "male": ("short", "short", "short", "curly", "buzz cut", "bun", "bald"),
}
TOPS: dict[str, tuple[str, ...]] = {
    "female": ("t-shirt", "t-shirt", "long-sleeve shirt", "tank top", "sweater", "hoodie", "polo shirt"),
    "male": ("t-shirt", "t-shirt", "long-sleeve shirt", "sweater", "hoodie", "polo shirt"),
}
BOTTOMS: dict[str, tuple[str, ...]] = {
    "female": ("jeans", "jeans", "trousers", "leggings", "shorts", "skirt"),
    "male": ("jeans", "jeans", "trousers", "trousers", "shorts"),
}
SHOES: tuple[str, ...] = ("sneakers", "sneakers", "sneakers", "boots", "loafers")
SHOE_COLORS: dict[str, tuple[str, ...]] = {
    "sneakers": ("white", "white", "cream", "light grey", "charcoal", "navy"),
    "boots": ("brown", "black", "charcoal"),
    "loafers": ("brown", "black", "burgundy"),
    "barefoot": ("white",),
}
SEAT = "#b89467"


@dataclass(frozen=True)
class Outfit:
    """Colours that go together.

    Attributes
    ----------
    top, bottom, jeans : str
        Names of `records.COLOR_NAMES`; `jeans` is what the bottom is when it is a pair of jeans.
    backdrop : str
        "#rrggbb".
    """

    top: str
    bottom: str
    jeans: str
    backdrop: str

    def bottom_for(self, garment: str) -> str:
        """Return the colour of a bottom of that kind."""
        if garment == "leggings":
            return self.bottom if self.bottom in {"black", "charcoal", "navy", "burgundy"} else "charcoal"
        return self.jeans if garment == "jeans" else self.bottom


OUTFITS: tuple[Outfit, ...] = (
    Outfit("white", "navy", "denim", "#c3cbd3"),
    Outfit("navy", "beige", "denim", "#d3cabb"),
    Outfit("teal", "charcoal", "charcoal", "#cfd3cf"),
    Outfit("mustard", "navy", "denim", "#d6cfc0"),
    Outfit("burgundy", "charcoal", "denim", "#d1c8c6"),
    Outfit("sage", "cream", "denim", "#d5d3c8"),
    Outfit("coral", "navy", "denim", "#c9d0d4"),
    Outfit("light blue", "khaki", "navy", "#d0d3d4"),
    Outfit("cream", "olive", "denim", "#c8cbc2"),
    Outfit("charcoal", "beige", "denim", "#d2cec8"),
    Outfit("green", "charcoal", "navy", "#d3d1c6"),
    Outfit("lavender", "charcoal", "denim", "#cdcbd6"),
    Outfit("blue", "light grey", "charcoal", "#cdd2d8"),
    Outfit("red", "black", "denim", "#cfcdcb"),
    Outfit("grey", "black", "charcoal", "#cbcdd0"),
    Outfit("turquoise", "navy", "denim", "#d3d2cb"),
    Outfit("pink", "grey", "denim", "#d4cdcd"),
    Outfit("orange", "charcoal", "denim", "#ccd0d0"),
)
