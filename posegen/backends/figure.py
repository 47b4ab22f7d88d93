"""The embedded renderer as a backend: free, offline, and honest about being synthetic.

With conditioning "control" it follows the control keypoints. With "prompt" or "none" it looks up the library
pose whose words the prompt matches best, with seeded joint noise: how well that fits is circular, since the
prompt was made from the same words.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from posegen import figure
from posegen.backends.base import GeneratedImage, ImageRequest, InProcess, NoOptions, Workshop
from posegen.errors import ImageFailedError, UnknownNameError
from posegen.poses import targets
from posegen.poses.body import Body, load_body
from posegen.poses.camera import Camera, fit_camera
from posegen.poses.fitting import align_camera, fit_pose, misfit, nearest, unflipped
from posegen.poses.joints import ANGLE_NAMES, GREATEST, LEAST, angle_vector
from posegen.poses.kinematics import Postures, solve_many
from posegen.poses.library import Pose, PoseLibrary
from posegen.poses.search import FILLERS, stem, words_of
from posegen.records import COLOR_NAMES, Conditioning, ImageTask
from posegen.settings import Settings

FloatArray = NDArray[np.float64]

LOOK_UP_NOISE_DEG = 6.0
"""Joint noise of a pose that was looked up in words: words do not say exact angles."""

SAME_POSE_ERROR = 0.025
"""Another body in the same pose lies closer than this (tests/poses/test_fitting.py); more is an edit."""

NO_EFFECT = ("num_inference_steps", "guidance_scale", "controlnet_conditioning_scale", "control_guidance_end")


class FigureOptions(NoOptions):
    """Options of the embedded renderer."""

    joint_noise_deg: float = Field(default=0.0, ge=0, le=60)
    """Standard deviation of Gaussian noise on every joint angle, degrees, seeded by the image's seed."""
    background: str = "gradient"
    """"gradient" or "plain", in a colour that goes with the clothes; or a colour by name or #rrggbb"""

    @field_validator("background")
    @classmethod
    def _known_background(cls, value: str) -> str:
        if value not in ("gradient", "plain", *COLOR_NAMES) and not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise ValueError(
                str(UnknownNameError("background", value, ["gradient", "plain", *COLOR_NAMES, "#rrggbb"]))
            )
        return value


class FigureBackend(InProcess):
    """Draws a clothed person with numpy and Pillow."""

    name = "figure"
    version: str | None = figure.RENDERER_VERSION
    default_model: str | None = None
    conditionings: tuple[Conditioning, ...] = ("control", "prompt", "none")
    options_type: type[BaseModel] = FigureOptions
    negative_prompt_note = "the embedded renderer draws what it is told: a negative prompt has no effect"

    def missing(self, settings: Settings) -> list[str]:
        """Return nothing: it is always usable."""
        del settings
        return []

    def typical_s(self, width: int, height: int) -> float:
        """Return the usual seconds for one image (measured: benchmarks/bench_figure.py)."""
        return 0.2 + 0.3 * width * height / 1e6

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Draw one image.

        Raises
        ------
        ImageFailedError
            The task cannot be drawn.
        """
        return await workshop.on_cpu(lambda: draw(request))


def draw(request: ImageRequest) -> GeneratedImage:
    """Draw one image; the same request gives the same pixels.

    Raises
    ------
    ImageFailedError
        Conditioning "control" without keypoints.
    """
    task = request.task
    placed = Placed.of(request)
    pixels = figure.draw(placed.posed[0], placed.camera, placed.appearance, task.width, task.height)
    return GeneratedImage(
        pixels=np.ascontiguousarray(pixels[:, ::-1]) if task.view.mirrored else pixels,
        conditioning=task.conditioning,
        model=f"figure {figure.RENDERER_VERSION}",
        provider="embedded",
        synthetic=True,
        notes=tuple(_notes(task, placed.stance)),
    )


def drawn_keypoints(request: ImageRequest) -> FloatArray:
    """Return where the joints of the body are that `draw` draws for a request, without drawing it.

    What is known here and nowhere else: the truth that an estimator should find.

    Returns
    -------
    float array, shape (18, 2)
        OPENPOSE_18 in pixels, hidden joints too.

    Raises
    ------
    ImageFailedError
        As `draw`.
    """
    placed, view = Placed.of(request), request.task.view
    points = placed.camera.project(placed.posed.openpose()[0])[:, :2]
    return targets.mirrored_keypoints(points, request.task.width) if view.mirrored else points


@dataclass(frozen=True, eq=False)
class Placed:
    """A body as it stands before the camera, with what it wears: all that a picture is drawn from."""

    stance: Stance
    posed: Postures
    camera: Camera
    appearance: figure.Appearance

    @classmethod
    def of(cls, request: ImageRequest) -> Placed:
        """Return what a request asks for.

        Raises
        ------
        ImageFailedError
            Conditioning "control" without keypoints.
        """
        task = request.task
        options = FigureOptions.model_validate(task.options)
        appearance = figure.choose_appearance(task.avatar, task.seed, options.background)
        body = load_body(male_share=appearance.male_share)
        if task.conditioning == "control":
            stance = follow(request, body)
            noise_deg = options.joint_noise_deg
        else:
            stance = Stance.of(look_up(task.prompt))
            noise_deg = max(options.joint_noise_deg, LOOK_UP_NOISE_DEG)
        posed = stance.posed(body, noisy(stance.angles, noise_deg, task.seed))
        camera = stance.camera or fit_camera(posed.samples()[0], task.view.yaw, task.width, task.height)
        return cls(stance, posed, camera, appearance)


@dataclass(frozen=True, eq=False)
class Stance:
    """Joint angles with what they rest on, and the camera that lays them over keypoints, if there are any."""

    pose: Pose
    angles: FloatArray
    camera: Camera | None = None

    @classmethod
    def of(cls, pose: Pose) -> Stance:
        """Return a library pose as it is."""
        return cls(pose, angle_vector(pose.angles))

    def posed(self, body: Body, angles: FloatArray) -> Postures:
        """Return the body in these angles, resting on what the pose rests on."""
        pose = self.pose
        return solve_many(
            angles[None],
            body,
            hands=[pose.hands],
            supports=[pose.support],
            lifts_m=[pose.lift_m],
            seat_heights_m=[pose.seat_height_m],
        )


def follow(request: ImageRequest, body: Body) -> Stance:
    """Return the stance whose keypoints lie on the request's.

    The task's own pose serves where its keypoints agree; where they were edited, its angles are fitted.

    Raises
    ------
    ImageFailedError
        There are no keypoints.
    """
    task = request.task
    if request.keypoints is None:
        raise ImageFailedError(
            "conditioning 'control' needs keypoints", backend="figure", code="NO_CONTROL_MAP"
        )
    keypoints = unflipped(request.keypoints, task.width) if task.view.mirrored else request.keypoints
    stance = Stance.of(_start(task, keypoints))
    camera, error = _laid_over(stance, body, task, keypoints)
    if error > SAME_POSE_ERROR:
        fitted = fit_pose(keypoints, task.view.yaw, stance.angles, body=body, hands=stance.pose.hands)
        stance = replace(stance, angles=fitted.angles)
        camera, _ = _laid_over(stance, body, task, keypoints)
    return replace(stance, camera=camera)


def _laid_over(stance: Stance, body: Body, task: ImageTask, keypoints: FloatArray) -> tuple[Camera, float]:
    """Return the camera that lays a stance over keypoints, and the error left, as `FittedPose.error`."""
    posed = stance.posed(body, stance.angles)
    points = posed.openpose()[0]
    camera = fit_camera(posed.samples()[0], task.view.yaw, task.width, task.height)
    camera = align_camera(points, camera, keypoints)
    return camera, misfit(camera.project(points)[:, :2], keypoints)


def _start(task: ImageTask, keypoints: FloatArray) -> Pose:
    """Return the pose to start from: the task's own, else the library pose most like the keypoints."""
    if task.pose is not None:
        return Pose.from_content(task.pose)
    library = list(PoseLibrary.builtin())
    seen = [targets.keypoints(pose, task.view, task.width, task.height) for pose in library]
    return library[nearest(keypoints, seen)]


def noisy(angles: FloatArray, noise_deg: float, seed: int) -> FloatArray:
    """Return angles with seeded Gaussian noise, within the joints' limits; the root keeps its direction."""
    if noise_deg == 0:
        return angles
    noise = np.random.default_rng(seed).normal(0.0, noise_deg, len(angles))
    noise[[i for i, name in enumerate(ANGLE_NAMES) if name.startswith("root.")]] = 0.0
    return np.clip(angles + noise, LEAST, GREATEST)


def look_up(prompt: str) -> Pose:
    """Return the library pose whose words the prompt matches best; rare words count more.

    A prompt that matches no pose's words gives the library's first pose.
    """
    words = set(_terms(prompt))
    scores = [sum(weight for word, weight in terms if word in words) for terms in _weighted_terms()]
    return list(PoseLibrary.builtin())[int(np.argmax(scores))]


@lru_cache(maxsize=1)
def _weighted_terms() -> tuple[tuple[tuple[str, float], ...], ...]:
    """Return each pose's terms and weights, scaled to length 1 so that long descriptions do not win.

    Terms that stand in a third of the library (body, person, standing ...) tell nothing and are left out.
    """
    documents = [
        set(_terms(" ".join([pose.name, pose.description, *pose.tags, pose.category])))
        for pose in PoseLibrary.builtin()
    ]
    counts = Counter(term for document in documents for term in document)
    weighted = []
    for document in documents:
        rare = [term for term in document if counts[term] * 3 <= len(documents)]
        weights = {term: math.log(len(documents) / counts[term]) for term in rare}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        weighted.append(tuple(sorted((term, weight / length) for term, weight in weights.items())))
    return tuple(weighted)


def _terms(text: str) -> list[str]:
    """Return the words that say something, each cut to its stem: kick, kicks and kicking are one."""
    return [stem(word) for word in words_of(text.replace("_", " ")) if word not in FILLERS]


def _notes(task: ImageTask, stance: Stance) -> Iterator[str]:
    if task.conditioning != "control":
        yield f"pose {stance.pose.id!r} looked up in the prompt's words: how well it fits is circular"
    given = [name for name in NO_EFFECT if getattr(task, name) is not None]
    if given:
        yield f"without effect on the embedded renderer: {', '.join(given)}"
