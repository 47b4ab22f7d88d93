"""Words for text-to-image models: a pose and its view described, an avatar, and the prompt made of them.

The user's words always come first and are never changed. What is added to them gives way where T5's 512
tokens would be exceeded (`tokens.token_bound`), because text beyond the limit is dropped by the model
without a word. FLUX's CLIP encoder reads 77 tokens, but only its pooled vector is used, so it sets no limit
here.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from posegen.controlnet.avatar_words import avatar_words
from posegen.controlnet.tokens import T5_MAX_TOKENS, token_bound
from posegen.records import Avatar, View

DEFAULT_NEGATIVE_PROMPT = (
    "extra limbs, missing limbs, extra fingers, missing fingers, fused fingers, deformed hands, "
    "deformed feet, distorted face, bad anatomy, unnatural joints, duplicate person, cropped body, "
    "out of frame, blurry, low resolution, jpeg artifacts, text, watermark, signature"
)
"""Acts only where classifier-free guidance does; FLUX.1 ignores it unless `true_cfg_scale` is above 1."""

LEAD_WITHOUT_WORDS = "A photo of one person"
"""What an empty user prompt becomes, so that the description has something to describe."""

_BY_IMPORTANCE: tuple[tuple[str, ...], ...] = (
    ("gender",),
    ("extra",),
    ("age",),
    ("skin_tone",),
    ("hair_style", "hair_color"),
    ("top", "top_color"),
    ("bottom", "bottom_color"),
    ("body_type",),
    ("shoes", "shoes_color"),
)
"""Avatar attributes that are kept or dropped together, the most important first."""

_VIEW_WORDS: tuple[str, ...] = (
    "seen from the front",
    "seen at a three-quarter angle from the front and the person's left side",
    "seen in profile from the person's left side, facing the left edge of the picture",
    "seen at a three-quarter angle from behind and the person's left side",
    "seen from behind",
    "seen at a three-quarter angle from behind and the person's right side",
    "seen in profile from the person's right side, facing the right edge of the picture",
    "seen at a three-quarter angle from the front and the person's right side",
)
"""Words for yaw 0, 45 ... 315 degrees."""

_SIDE = re.compile(r"\b(left|right(?![ -]angle|[ -]away\b))(?=(?:ward|wards|most)?\b)", re.IGNORECASE)
_CLAUSE = re.compile(r"[^,;.!?]*(?:[,;.!?]+(?!\s|$)[^,;.!?]*)*[,;.!?]*\s*")
_SENTENCE_END = (".", "!", "?", "…", ":", ";", ",")


class DescribedPose(Protocol):
    """A pose that describes itself in words, such as one of the library's."""

    @property
    def description(self) -> str:
        """The body's configuration in words, seen by nobody in particular."""


class EnhancedPrompt(msgspec.Struct, frozen=True):
    """A prompt and what it cost.

    Attributes
    ----------
    text : str
        Starts with the user's words, exactly as they were.
    token_bound : int
        T5 reads at most this many tokens.
    max_tokens : int
        The limit that was to be held.
    dropped : tuple of str
        What was left out to hold it, in the order it was dropped: names of avatar attributes, then clauses
        of the description as "description: ...".
    """

    text: str
    token_bound: int
    max_tokens: int = T5_MAX_TOKENS
    dropped: tuple[str, ...] = ()

    @property
    def within_limit(self) -> bool:
        """False if the user's words alone may be too long: they are kept, but their end may go unread."""
        return self.token_bound <= self.max_tokens


def description(pose: DescribedPose, view: View) -> str:
    """Return a pose's own words and from where it is seen.

    Parameters
    ----------
    pose : DescribedPose
        Its `description` names sides as the person's own.
    view : View
        A mirrored view swaps "left" and "right", in the pose's words and in the view's.

    Returns
    -------
    str
        The view comes first: where the prompt must be cut, it is cut from its end.
    """
    words = pose.description.strip()
    if view.mirrored:
        words = swap_sides(words)
    seen = f"Full body {view_words(view)}"
    if not words:
        return f"{seen}."
    return f"{seen}{'. ' if words[:1].isupper() else ', '}{_closed(words)}"


def view_words(view: View) -> str:
    """Return the words for the nearest of eight directions, as the finished picture shows it.

    Examples
    --------
    >>> view_words(View(yaw=180))
    'seen from behind'
    >>> view_words(View(yaw=80, mirrored=True))
    "seen in profile from the person's right side, facing the right edge of the picture"
    """
    yaw = -view.yaw if view.mirrored else view.yaw
    return _VIEW_WORDS[round(yaw / 45) % 8]


def swap_sides(text: str) -> str:
    """Swap the sides "left" and "right" in a text; a right angle stays one.

    Examples
    --------
    >>> swap_sides("Left knee at a right angle, right-hand palm up")
    'Right knee at a right angle, left-hand palm up'
    """

    def other(match: re.Match[str]) -> str:
        word = match.group()
        swapped = "right" if word.lower() == "left" else "left"
        return swapped.upper() if word.isupper() else swapped.capitalize() if word[0].isupper() else swapped

    return _SIDE.sub(other, text)


def enhanced_prompt(
    user_prompt: str,
    description: str = "",
    avatar: Avatar | None = None,
    *,
    max_tokens: int = T5_MAX_TOKENS,
) -> str:
    """Return the user's words, the pose's description and the avatar's attributes (see `compose_prompt`)."""
    return compose_prompt(user_prompt, description, avatar, max_tokens=max_tokens).text


def compose_prompt(
    user_prompt: str,
    description: str = "",
    avatar: Avatar | None = None,
    *,
    max_tokens: int = T5_MAX_TOKENS,
) -> EnhancedPrompt:
    """Join the user's words, the pose's description and the avatar, and hold T5's limit.

    Parameters
    ----------
    user_prompt : str
        Comes first, whole and unaltered. Nothing but white space is led by `LEAD_WITHOUT_WORDS` instead.
    description : str
        Of pose and view; empty for an image from text alone.
    avatar : Avatar, optional
        What is None in it is not mentioned.
    max_tokens : int
        T5 tokens, the closing one included.

    Returns
    -------
    EnhancedPrompt
        Where all would not fit, avatar attributes are left out, the least important first (one that is too
        long by itself, such as a long `extra`, alone), then the description's clauses from its end. User's
        words that are too long by themselves are kept: see `within_limit`.

    Raises
    ------
    ValueError
        `max_tokens` is less than 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1, not {max_tokens}")
    lead = user_prompt if user_prompt.strip() else LEAD_WITHOUT_WORDS
    avatar = avatar or Avatar()
    clauses = [clause for clause in _CLAUSE.findall(description.strip()) if clause]
    dropped_clauses = []
    while clauses and token_bound(_joined(lead, "".join(clauses), Avatar())) > max_tokens:
        dropped_clauses.append(f"description: {clauses.pop().strip()}")
    words = "".join(clauses)
    said, dropped = Avatar(), []
    for names in _BY_IMPORTANCE:
        values = {name: value for name in names if (value := getattr(avatar, name)) is not None}
        longer = msgspec.structs.replace(said, **values)
        if token_bound(_joined(lead, words, longer)) <= max_tokens:
            said = longer
        else:
            dropped.append(list(values))
    text = _joined(lead, words, said)
    left_out = [name for names in reversed(dropped) for name in names] + dropped_clauses
    return EnhancedPrompt(text, token_bound(text), max_tokens, tuple(left_out))


def _joined(lead: str, description: str, avatar: Avatar) -> str:
    """Append sentences to a lead that is not to be changed."""
    added = " ".join(sentence for sentence in (_closed(description), avatar_words(avatar)) if sentence)
    if not added:
        return lead
    if lead[-1].isspace():
        return lead + added
    return f"{lead} {added}" if lead.endswith(_SENTENCE_END) else f"{lead}. {added}"


def _closed(words: str) -> str:
    """End words with a full stop; a comma or semicolon that a cut left at the end goes."""
    words = words.strip().rstrip(",;").rstrip()
    return words if not words or words[-1] in ".!?…" else f"{words}."
