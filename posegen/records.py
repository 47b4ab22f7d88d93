"""Frozen records that travel between layers.

They hold plain values only, so that they can be journalled as JSON and sent to another process. Plain values
form no cycles, hence `gc=False`: the collector would take as long as reading a journal of 10,000 images does.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Conditioning = Literal["none", "prompt", "control"]

StickScale = Literal["none", "xinsir"]
"""How wide a control map's sticks are: as OpenPose draws them, or as xinsir's SDXL ControlNets want them."""

AVATAR_CHOICES: dict[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "age": ("young adult", "adult", "middle-aged", "senior"),
    "body_type": ("slim", "average", "athletic", "sturdy"),
    "skin_tone": ("very fair", "fair", "light", "medium", "olive", "tan", "brown", "dark"),
    "hair_style": ("buzz cut", "short", "curly", "bob", "long", "ponytail", "bun", "bald"),
    "hair_color": (
        "black", "dark brown", "brown", "light brown", "auburn", "red", "blonde", "grey", "white",
    ),
    "top": ("t-shirt", "long-sleeve shirt", "tank top", "sweater", "hoodie", "polo shirt"),
    "bottom": ("jeans", "trousers", "leggings", "shorts", "skirt"),
    "shoes": ("sneakers", "boots", "loafers", "barefoot"),
}  # fmt: skip
"""What each avatar attribute may say; `*_color` of clothes takes a `COLOR_NAMES` entry or #rrggbb."""

COLOR_NAMES: dict[str, str] = {
    "black": "#1f2023", "charcoal": "#3a3d42", "grey": "#8a8d91", "light grey": "#c4c7ca",
    "white": "#eef0f0", "cream": "#ece3d0", "beige": "#cdb999", "brown": "#6d4c36",
    "navy": "#24324f", "blue": "#2f66b0", "light blue": "#8fb7dc", "denim": "#41597c",
    "teal": "#1f7a7a", "turquoise": "#3fb5ae", "green": "#3b7d4a", "olive": "#68703d",
    "sage": "#9bab8b", "yellow": "#e2b93b", "mustard": "#c4932b", "orange": "#d9773a",
    "coral": "#e2725f", "red": "#b8353a", "burgundy": "#6e2435", "pink": "#dd9aa9",
    "purple": "#6a4a8c", "lavender": "#b3a3d1", "khaki": "#a69366",
}  # fmt: skip
"""Garment colours by name, sRGB."""


class View(msgspec.Struct, frozen=True, order=True, gc=False):
    """From where a pose is seen.

    Attributes
    ----------
    yaw : float
        Degrees in (-180, 180]; 0 is from the front, +90 shows the person's left side: the camera has gone
        counter-clockwise, seen from above, round to the left of the person.
    mirrored : bool
        The finished picture is flipped left to right (and the keypoints' sides swapped).
    """

    yaw: float = 0.0
    mirrored: bool = False


class Avatar(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who is in the picture. What is None is left open: the seed (or the model) decides.

    `AVATAR_CHOICES` holds the allowed values; `extra` is free text that only prompts use.
    """

    gender: str | None = None
    age: str | None = None
    body_type: str | None = None
    skin_tone: str | None = None
    hair_style: str | None = None
    hair_color: str | None = None
    top: str | None = None
    top_color: str | None = None
    bottom: str | None = None
    bottom_color: str | None = None
    shoes: str | None = None
    shoes_color: str | None = None
    extra: str | None = None


class ImageTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One image to make. `task_id` is a hash of everything else that decides the picture.

    Attributes
    ----------
    task_id : str
        32 hexadecimal digits.
    index : int
        Place in the plan, from 0; does not decide the picture.
    pose_id : str or None
        Library id, for people; None for an image from text alone. Does not decide the picture.
    pose : dict or None
        The pose's content (angles, hands, support), which does.
    prompt : str
        What the backend is sent: the user's words, pose description and avatar.
    user_prompt : str
        The user's words alone.
    conditioning : {"none", "prompt", "control"}
        How the pose is asked for.
    control_map_sha256 : str or None
        Hash of the control map's PNG, for conditioning "control".
    stick_scale : {"none", "xinsir"}
        Of the control map.
    renderer_version : str or None
        Version of the embedded renderer, for backend "figure".
    options : dict
        The backend's own options.
    """

    task_id: str
    index: int
    backend: str
    user_prompt: str
    prompt: str
    seed: int
    width: int
    height: int
    conditioning: Conditioning
    pose_id: str | None = None
    pose: dict[str, Any] | None = None
    view: View = View()
    negative_prompt: str = ""
    avatar: Avatar = Avatar()
    model: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    controlnet_conditioning_scale: float | None = None
    control_guidance_end: float | None = None
    control_map_sha256: str | None = None
    stick_scale: StickScale = "none"
    renderer_version: str | None = None
    candidate: int = 0
    options: dict[str, Any] = {}


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One image made.

    Attributes
    ----------
    key, thumbnail_key : str
        Storage keys.
    sha256 : str
        Of the stored image's bytes, hexadecimal.
    size_bytes, thumbnail_bytes : int
    duration_ms : float
        From the start of generation to the image being durable.
    stage_ms : dict
        Milliseconds by stage: "generate", "encode", "thumbnail", "store".
    conditioning : {"none", "prompt", "control"}
        What the image really had, which may be less than was asked for.
    synthetic : bool
        True for the embedded renderer: says nothing about a generative model.
    notes : tuple of str
        What the user should know: a fallback taken, a parameter without effect.
    candidate : int
        Which try for the image this is, from 0; its seed is the task's with this added.
    """

    task_id: str
    key: str
    thumbnail_key: str
    sha256: str
    size_bytes: int
    thumbnail_bytes: int
    width: int
    height: int
    duration_ms: float
    conditioning: Conditioning
    stage_ms: dict[str, float] = {}
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    cost_usd: float | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    candidate: int = 0


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How well one image shows the pose that was asked for.

    Attributes
    ----------
    estimator, estimator_version, weights_sha256 : str
        What found the keypoints.
    people : int
        How many people it found; the figures are of the one that fits the target best, as in COCO's recall.
    oks : float
        Object keypoint similarity in [0, 1] over the keypoints that the target shows; 0 if nobody was found.
    pck_10, pck_20 : float
        Share of these keypoints within 0.1 and 0.2 torso diameters; 0 if nobody was found.
    mean_error : float or None
        Mean distance of the keypoints found, as a share of the body's height; None if none was.
    angle_error_deg : float or None
        Mean difference of the angles at elbows, shoulders, hips and knees in the picture.
    swapped : bool
        Left and right were taken for each other.
    counted : int
        How many keypoints the target shows.
    keypoints : tuple of float or None
        As found, COCO_17, each x, y (pixels) and confidence in turn; None where a keypoint was not found,
        empty if nobody was.
    duration_ms : float
        Of the estimator.
    """

    estimator: str
    estimator_version: str
    weights_sha256: str
    people: int
    oks: float
    pck_10: float
    pck_20: float
    counted: int
    mean_error: float | None = None
    angle_error_deg: float | None = None
    swapped: bool = False
    keypoints: tuple[float | None, ...] = ()
    duration_ms: float = 0.0

    @property
    def detected(self) -> bool:
        """Whether anybody was found."""
        return self.people > 0
