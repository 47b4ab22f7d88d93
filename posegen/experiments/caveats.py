"""What must be said of an experiment wherever its figures are shown: synthetic, circular, few poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

FEWEST_POSES = 30
"""With fewer an interval says little about poses that were not tried."""

SYNTHETIC = (
    "Synthetic: the pictures were drawn by the embedded renderer. They test the measuring chain (whether a "
    "known difference is found, and none where there is none) and say nothing about FLUX or any other "
    "generative model."
)
PARTLY_SYNTHETIC = (
    "Partly synthetic: arms {arms} were drawn by the embedded renderer and say nothing about a generative "
    "model."
)
CIRCULAR = (
    "Circular: the embedded renderer looks the pose of arms {arms} up in the prompt's words, which were made "
    "from that very pose. How well they fit is no evidence that describing a pose helps."
)


def statements(arms: Sequence[str], drawn: Sequence[str], circular: Sequence[str]) -> Iterator[str]:
    """Say what an experiment's pictures are no evidence of.

    Parameters
    ----------
    arms : sequence of str
        All arms.
    drawn, circular : sequence of str
        Those that the embedded renderer draws, and of these the ones that it draws by the prompt's words.
    """
    if drawn:
        every = len(drawn) == len(arms)
        yield SYNTHETIC if every else PARTLY_SYNTHETIC.format(arms=", ".join(drawn))
    if circular:
        yield CIRCULAR.format(arms=", ".join(circular))


def of_few_poses(poses: int) -> Iterator[str]:
    """Say what so many poses are too few for; nothing if they are enough.

    >>> list(of_few_poses(30))
    []
    """
    if poses < FEWEST_POSES:
        yield f"{poses} poses: with fewer than {FEWEST_POSES} an interval says little about poses not tried"
    if poses < 3:
        yield "no intervals: they need 3 poses or more"
