"""Hair styles by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """How hair is cut; lengths in metres.

    Attributes
    ----------
    top, side, back : float
        Thickness over the crown, the temples and the nape.
    curtain : float
        Template height to which hair falls at the back; above the ears there is none.
    curtain_side : float
        The same beside the face.
    fringe : float
        How far hair falls over the forehead, degrees of elevation below the hair line.
    lumps : float
        Height of curls.
    tied : (float, float, float) or None
        Template place where hair is gathered; strands run to it.
    """

    top: float
    side: float
    back: float
    curtain: float = 1.0
    curtain_side: float = 1.0
    fringe: float = 0.0
    lumps: float = 0.0
    tied: tuple[float, float, float] | None = None


CUTS = {
    "short": Cut(0.024, 0.010, 0.006, fringe=1.5, lumps=0.0016),
    "curly": Cut(0.040, 0.030, 0.022, fringe=4.0, lumps=0.0065),
    "bob": Cut(0.021, 0.017, 0.018, curtain=0.648, curtain_side=0.652, fringe=19.0, lumps=0.0012),
    "long": Cut(0.020, 0.016, 0.017, curtain=0.455, curtain_side=0.618, lumps=0.0016),
    "ponytail": Cut(0.012, 0.008, 0.008, lumps=0.0010, tied=(0.0, 0.058, 0.815)),
    "bun": Cut(0.012, 0.008, 0.008, lumps=0.0010, tied=(0.0, 0.030, 0.872)),
}
