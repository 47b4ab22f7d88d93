"""All results of an experiment as plain values: what the report shows and what is kept beside it.

An experiment's results lie in `runs/<run id>/experiment/`: `results.json` (everything), `images.parquet` (one
row an arm and cell: `Score`) and `effects.parquet` (one row a comparison: `EffectRow`). They are made anew
from the journal whenever they are asked for, so that they can be deleted.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np

import posegen
from posegen.errors import StorageError
from posegen.experiments import analysis, caveats, context
from posegen.experiments import attenuation as known
from posegen.experiments.design import Design
from posegen.experiments.scores import Score
from posegen.journal import RunState
from posegen.journal.events import timestamp, utc_now
from posegen.storage.atomic import write_atomically

SCHEMA = 1
FOLDER = "experiment"
RESULTS, IMAGES, EFFECTS = "results.json", "images.parquet", "effects.parquet"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment came to.

    Attributes
    ----------
    run_id, status, baseline : str
    statements : tuple of str
        What must be said wherever the figures are shown: synthetic, circular.
    warnings : tuple of str
        What weakens them: few poses, images that are missing, several estimators.
    arms : list
        Name, conditioning, dose and whether it is synthetic or circular.
    coverage : Coverage
        How many cells levels, strata, joints and doses are of.
    levels, effects, strata, joints, dose_curve, attenuation, agreement, missing : list
        As in `analysis` and `attenuation`; `agreement` and `attenuation` exist where the truth is known.
    environment : dict
        Estimators with weights, versions, times, hardware.
    parameters : dict
        What was asked for.
    context : dict
        What others claim and have published.
    """

    schema: int
    run_id: str
    status: str
    baseline: str
    synthetic: bool
    statements: tuple[str, ...]
    warnings: tuple[str, ...]
    arms: list[dict[str, Any]]
    coverage: analysis.Coverage
    levels: list[analysis.Level]
    effects: list[analysis.EffectRow]
    strata: list[analysis.StratumRow]
    joints: list[analysis.JointRow]
    dose_curve: list[known.DosePoint]
    attenuation: list[known.AttenuationRow]
    agreement: known.Agreement | None
    missing: list[analysis.Missing]
    environment: dict[str, Any]
    parameters: dict[str, Any]
    context: dict[str, Any]


def analyse(state: RunState, design: Design, scores: Sequence[Score]) -> Results:
    """Return the results of scores; the same scores give the same results."""
    arms, seed = [arm.name for arm in design.arms], design.seed
    described = [_arm(design, name, scores) for name in arms]
    missing = analysis.missing(scores, arms, design.baseline)
    coverage, estimators = analysis.coverage(scores), measured_by(state)
    return Results(
        schema=SCHEMA,
        run_id=state.run_id,
        status=state.status,
        baseline=design.baseline,
        synthetic=bool(described) and all(arm["synthetic"] for arm in described),
        statements=tuple(_statements(described)),
        warnings=(
            *_warnings(state, scores, missing),
            *_of_coverage(coverage),
            *_of_estimators(estimators, missing),
        ),
        arms=described,
        coverage=coverage,
        levels=analysis.levels(scores, arms, seed=seed),
        effects=analysis.effects(scores, arms, design.baseline, seed=seed),
        strata=analysis.strata(scores, arms, design.baseline, seed=seed),
        joints=analysis.joints(scores, arms),
        dose_curve=known.dose_curve(scores, design.arms, seed=seed),
        attenuation=known.attenuation(scores, arms, design.baseline, seed=seed),
        agreement=known.agreement(scores, [arm.name for arm in design.makers], seed=seed),
        missing=missing,
        environment={"estimators": estimators, **_environment(state, scores)},
        parameters=dict(state.spec or {}),
        context={"claims": context.CLAIMS, "published_ap": context.PUBLISHED, "note": context.PUBLISHED_NOTE},
    )


def _arm(design: Design, name: str, scores: Sequence[Score]) -> dict[str, Any]:
    arm = design.arm(name)
    task = design.task(arm, 0)
    drawn = task.backend == "figure" or any(score.synthetic for score in scores if score.arm == name)
    return {
        "name": name,
        "conditioning": arm.conditioning,
        "backend": task.backend,
        "model": task.model,
        "dose_of": arm.placed[0] if arm.placed else None,
        "dose": arm.placed[1] if arm.placed else None,
        "synthetic": drawn,
        "circular": task.backend == "figure" and task.conditioning != "control",
    }


def _statements(arms: Sequence[dict[str, Any]]) -> Iterable[str]:
    named = {kind: [arm["name"] for arm in arms if arm[kind]] for kind in ("synthetic", "circular")}
    return caveats.statements([arm["name"] for arm in arms], named["synthetic"], named["circular"])


def _warnings(state: RunState, scores: Sequence[Score], missing: Sequence[analysis.Missing]) -> Iterable[str]:
    poses = len({score.pose for score in scores if score.status == "scored"})
    yield from caveats.of_few_poses(poses)
    if state.status != "finished":
        yield f"the run is {state.status}: what follows is of the images made so far"
    for row in missing:
        gone = {"failed": row.failed, "not measured": row.unmeasured, "not made": row.pending}
        said = ", ".join(f"{count} {what}" for what, count in gone.items() if count)
        if said:
            yield f"arm {row.arm}: {said}; these pairs are left out"


def _of_coverage(coverage: analysis.Coverage) -> Iterable[str]:
    if not coverage.left_out:
        return
    if coverage.shared:
        yield (
            f"levels, strata, joints and doses are of the {coverage.shared} cells (pose, view, prompt, seed) "
            f"that were scored in every arm; {coverage.left_out} others are left out"
        )
    else:
        yield (
            f"none of {coverage.scored} cells (pose, view, prompt, seed) was scored in every arm: levels, "
            "strata, joints and doses are of each arm's own images and must not be set side by side"
        )


def _of_estimators(
    estimators: Sequence[dict[str, Any]], missing: Sequence[analysis.Missing]
) -> Iterable[str]:
    if len(estimators) < 2:
        return
    named = "; ".join(
        f"{found['name']} {found['version']} (weights {found['weights_sha256']:.12}) {found['images']} images"
        for found in estimators
    )
    yield (
        f"MEASURED BY {len(estimators)} ESTIMATORS: {named}. Their scores are not paired; "
        "`posegen measure RUN --again` measures all images with one"
    )
    for row in missing:
        if row.mixed:
            yield f"arm {row.arm}: {row.mixed} pairs measured by different estimators are left out"


def measured_by(state: RunState) -> list[dict[str, Any]]:
    """Return name, version and weights hash of every estimator, and how many images it measured."""
    counts = Counter(
        (found.estimator, found.estimator_version, found.weights_sha256)
        for task in state.tasks
        if task.task_id in state.records and (found := state.measurements.get(task.task_id)) is not None
    )
    return [
        {"name": name, "version": version, "weights_sha256": weights, "images": images}
        for (name, version, weights), images in sorted(counts.items())
    ]


def _environment(state: RunState, scores: Sequence[Score]) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {}
    for score in scores:
        if score.seconds is not None:
            seconds.setdefault(score.arm, []).append(score.seconds)
    return {
        "posegen": sorted({attempt.posegen_version for attempt in state.attempts if attempt.posegen_version}),
        "renderer": sorted({task.renderer_version for task in state.tasks if task.renderer_version}),
        "models": sorted({record.model for record in state.records.values() if record.model}),
        "started_at": state.first_at,
        "ended_at": state.last_at,
        "seconds_per_image": {arm: round(float(np.mean(all_)), 3) for arm, all_ in seconds.items()},
        "analysed_at": timestamp(utc_now()),
        "analysed_by": f"posegen {posegen.__version__}, Python {platform.python_version()}",
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
    }


def to_json(results: Results) -> bytes:
    """Return results as JSON; what is not a number (no interval, no spread) is null."""
    return json.dumps(_plain(msgspec.to_builtins(results)), indent=1, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def save(folder: Path, results: Results, scores: Sequence[Score]) -> tuple[Path, ...]:
    """Write results into the run's folder, each file whole or not at all; return the paths.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    files = {
        RESULTS: to_json(results),
        IMAGES: to_parquet(Score, scores, {"run_id": results.run_id}),
        EFFECTS: to_parquet(
            analysis.EffectRow, results.effects, {"run_id": results.run_id, "baseline": results.baseline}
        ),
    }
    for name, data in files.items():
        write_atomically(folder / FOLDER / name, data)
    return tuple(folder / FOLDER / name for name in files)


_SQL = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


def to_parquet(
    kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], every: dict[str, str] | None = None
) -> bytes:
    """Return rows of one kind as a Parquet file; `every` adds columns of one value.

    Without rows it is a table of the same columns and types, so that a glob over many runs can be read.
    """
    import duckdb

    added = every or {}
    columns = {**dict.fromkeys(added, "VARCHAR"), **_columns(kind)}
    listed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    with tempfile.TemporaryDirectory() as temporary, duckdb.connect() as connection:
        source, target = Path(temporary, "rows.ndjson"), Path(temporary, "rows.parquet")
        lines = [json.dumps(_plain({**added, **msgspec.to_builtins(row)})) for row in rows]
        source.write_text("\n".join(lines), encoding="utf-8")
        read = f"read_json($source, format = 'newline_delimited', columns = {{{listed}}})"
        connection.execute(
            f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)",  # noqa: S608  (our names)
            {"source": str(source)},
        )
        return target.read_bytes()


def _columns(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the SQL types of a struct's fields."""
    hints = get_type_hints(kind)
    found = {}
    for field in msgspec.structs.fields(kind):
        choices = get_args(hints[field.name]) or (hints[field.name],)
        found[field.name] = next((_SQL[choice] for choice in choices if choice in _SQL), "DOUBLE[]")
    return found


def results_path(root: Path, run_id: str) -> Path:
    """Return where the results of a run lie."""
    return root / "runs" / run_id / FOLDER / RESULTS


def is_reported(root: Path, state: RunState) -> bool:
    """Return whether a run's saved results are of all that its journal holds.

    They are not if they were saved while the run was made (its status, or the number of images measured, was
    another then), were measured by another estimator, or cannot be read.
    """
    try:
        saved = json.loads(results_path(root, state.run_id).read_bytes())
        return (saved["status"], saved["environment"]["estimators"]) == (state.status, measured_by(state))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read_results(root: Path) -> list[dict[str, Any]]:
    """Return the saved results of all experiments under `root`, by run id; none if there are none.

    Beside each `results.json` lie two Parquet files: see `read_rows`.

    Raises
    ------
    StorageError
        A file cannot be read as JSON.
    """
    found = []
    for path in sorted((root / "runs").glob(f"*/{FOLDER}/{RESULTS}")):
        try:
            found.append(json.loads(path.read_bytes()))
        except (OSError, ValueError) as exc:
            raise StorageError(f"cannot read {path}: {exc}") from exc
    return found


def read_rows(root: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of all experiments under `root`, by run id: its images or its comparisons.

    The two files of an experiment have different columns, so that a glob must name one of them:
    `runs/*/experiment/images.parquet` or `runs/*/experiment/effects.parquet`, never `*.parquet`. A column
    that an older file lacks is None.

    Parameters
    ----------
    root : Path
    name : {"images.parquet", "effects.parquet"}
        `IMAGES` (fields of `Score`) or `EFFECTS` (fields of `EffectRow`, and the baseline).

    Raises
    ------
    ValueError
        No such file.
    StorageError
        A file cannot be read as Parquet.
    """
    import duckdb

    if name not in (IMAGES, EFFECTS):
        raise ValueError(f"{name!r} is no file of rows; allowed: {IMAGES}, {EFFECTS}")
    paths = [str(path) for path in sorted((root / "runs").glob(f"*/{FOLDER}/{name}"))]
    if not paths:
        return []
    try:
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet($1, union_by_name = true)", [paths])
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as exc:
        raise StorageError(f"cannot read {name} of the experiments in {root}: {exc}") from exc
