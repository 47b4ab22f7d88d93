"""What others say of pose accuracy: shown beside a result, and never mixed with it."""

from __future__ import annotations

from typing import Any

CLAIMS: list[dict[str, Any]] = [
    {
        "way": "prompts that describe the pose",
        "claim": "20-25 % better pose accuracy",
        "basis": "an estimate of the reference system; nobody has measured it",
    },
    {
        "way": "native ControlNet",
        "claim": "40-50 % better pose accuracy",
        "basis": "an estimate of the reference system; nobody has measured it",
    },
]
"""What the reference system says of itself."""

PUBLISHED: list[dict[str, Any]] = [
    {"method": "Stable Diffusion, text only", "humansd_paper": 0.09, "stable_pose_paper": 0.24},
    {"method": "T2I-Adapter", "humansd_paper": 18.20, "stable_pose_paper": 27.22},
    {"method": "ControlNet", "humansd_paper": 18.45, "stable_pose_paper": 39.52},
    {"method": "HumanSD", "humansd_paper": 31.85, "stable_pose_paper": 44.57},
    {"method": "Stable-Pose", "humansd_paper": None, "stable_pose_paper": 48.88},
]
"""Pose AP in per cent, by paper; the second column is quoted from notes (see `PUBLISHED_NOTE`)."""

PUBLISHED_NOTE = (
    "Pose AP (%) as published: Ju et al., HumanSD, ICCV 2023; Wang et al., Stable-Pose, NeurIPS 2024 "
    "(Human-Art). Other detectors, data and area rules: ControlNet's own AP ranges from 18 to 45 across "
    "papers. The second column is quoted from notes and was not checked against the paper. For context only; "
    "not comparable with the OKS measured here."
)
