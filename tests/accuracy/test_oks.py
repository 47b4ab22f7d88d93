import contextlib
import io

import numpy as np
import pytest

from posegen.accuracy.oks import (
    AREA_OF_BOX,
    Scene,
    average_precision,
    average_recall,
    keypoint_area,
    oks,
    similarity_matrix,
)
from posegen.skeletons import COCO_SIGMAS

SKIP = "pycocotools is the outside reference"


def people(rng, count, spread=100.0):
    target = rng.uniform(0, spread, (count, 17, 2))
    counted = rng.random((count, 17)) < 0.7
    return target, counted


def test_identity_is_one_and_far_away_is_zero():
    target, counted = people(np.random.default_rng(0), 4)
    counted[:, 0] = True
    area = keypoint_area(target, counted)
    assert oks(target, target, counted, area) == pytest.approx(np.ones(4))
    assert oks(target + 1e6, target, counted, area) == pytest.approx(np.zeros(4))


def test_what_was_not_found_scores_nothing_and_what_is_not_counted_does_not_matter():
    target, counted = people(np.random.default_rng(1), 1)
    counted[:] = True
    area = keypoint_area(target, counted)
    predicted = target.copy()
    predicted[0, :5] = np.nan
    assert oks(predicted, target, counted, area) == pytest.approx(12 / 17)
    counted[0, :5] = False
    assert oks(predicted, target, counted, area) == pytest.approx(1.0)
    assert np.isnan(oks(predicted, target, np.zeros_like(counted), area)).all()


def test_one_known_value():
    target = np.zeros((1, 17, 2))
    predicted = np.full((1, 17, 2), np.nan)
    predicted[0, 0] = 3.0, 4.0
    counted = np.zeros((1, 17), bool)
    counted[0, 0] = True
    expected = np.exp(-25 / (2 * 1000 * (2 * COCO_SIGMAS[0]) ** 2))
    assert oks(predicted, target, counted, np.array([1000.0])) == pytest.approx([expected], abs=1e-12)


def test_arguments_are_not_changed():
    target, counted = people(np.random.default_rng(2), 3)
    predicted = target + 1
    copies = predicted.copy(), target.copy(), counted.copy()
    oks(predicted, target, counted, keypoint_area(target, counted))
    for before, after in zip(copies, (predicted, target, counted), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("shapes", "area", "said"),
    [
        (((2, 17, 2), (2, 17, 2), (2, 16)), 1.0, "expected"),
        (((2, 16, 2), (2, 17, 2), (2, 17)), 1.0, "expected"),
        (((2, 17, 2), (2, 17, 2), (2, 17)), np.nan, "areas"),
        (((2, 17, 2), (2, 17, 2), (2, 17)), -1.0, "areas"),
    ],
)
def test_what_makes_no_sense_is_refused(shapes, area, said):
    predicted, target, counted = (np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match=said):
        oks(predicted, target, counted.astype(bool), np.full(2, area))


def test_a_counted_target_must_be_there():
    target = np.full((1, 17, 2), np.nan)
    with pytest.raises(ValueError, match="counted keypoint"):
        oks(np.zeros((1, 17, 2)), target, np.ones((1, 17), bool), np.ones(1))


def test_the_area_is_half_the_box_of_what_is_counted():
    target = np.full((2, 17, 2), np.nan)
    target[0, :3] = (10, 20), (30, 20), (20, 70)
    counted = np.isfinite(target[..., 0])
    area = keypoint_area(target, counted)
    assert area[0] == pytest.approx(AREA_OF_BOX * 20 * 50)
    assert np.isnan(area[1])


def scenes_of(rng, images, degenerate):
    """Return random images: people, and detections near some of them."""
    made = []
    for image in range(images):
        count = int(rng.integers(0, 4)) if degenerate else int(rng.integers(1, 4))
        target, counted = people(rng, count)
        if not degenerate:
            counted[:, 0] = True
        if degenerate and count and image % 3 == 0:
            counted[0] = False
        found = int(rng.integers(0, 25 if image % 7 == 0 else 5))
        near = target[rng.integers(0, count, found)] if count else rng.uniform(0, 100, (found, 17, 2))
        predicted = near + rng.normal(0, rng.choice([0.0, 2.0, 6.0, 30.0]), near.shape)
        scores = rng.choice([0.1, 0.5, 0.5, 0.9], found) if degenerate else rng.random(found)
        made.append((target, counted, rng.uniform(500, 5000, count), predicted, scores))
    return made


def by_coco(made):
    """Return AP and AR as pycocotools counts them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image, (target, counted, area, predicted, scores) in enumerate(made):
        for points, shown, size in zip(target, counted, area, strict=True):
            flags = np.where(shown, 2, 0)
            places = np.where(shown[:, None], points, 0.0)
            annotations.append({
                "id": len(annotations) + 1, "image_id": image + 1, "category_id": 1, "iscrowd": 0,
                "area": float(size), "bbox": box_of(points), "num_keypoints": int(shown.sum()),
                "keypoints": np.column_stack([places, flags]).ravel().tolist(),
            })  # fmt: skip
        for points, score in zip(predicted, scores, strict=True):
            flat = np.column_stack([points, np.ones(17)]).ravel().tolist()
            results.append(
                {"image_id": image + 1, "category_id": 1, "keypoints": flat, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image + 1} for image in range(len(made))],
            "annotations": annotations, "categories": [{"id": 1}], "info": {},
        }  # fmt: skip
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(results), "keypoints")
        judged.evaluate()
        judged.accumulate()
    precision, recall = judged.eval["precision"][:, :, 0, 0, 0], judged.eval["recall"][:, 0, 0, 0]
    return judged, float(precision.mean()), float(recall.mean())


def box_of(points):
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


@pytest.mark.parametrize("degenerate", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_oks_ap_and_ar_are_those_of_pycocotools(seed, degenerate):
    pytest.importorskip("pycocotools", reason=SKIP)
    made = scenes_of(np.random.default_rng(seed), 30, degenerate)
    judged, precision, recall = by_coco(made)
    scenes = []
    for image, (target, counted, area, predicted, scores) in enumerate(made):
        boxes = np.array([box_of(points) for points in target]).reshape(-1, 4)
        similar = similarity_matrix(predicted, target, counted, area, boxes)
        scenes.append(Scene(similar, scores, ~counted.any(axis=1)))
        theirs = judged.ious[image + 1, 1]
        if len(theirs):
            order = np.argsort(-scores, kind="mergesort")[:20]
            assert similar[order] == pytest.approx(np.asarray(theirs), abs=1e-9)
    assert average_precision(scenes) == pytest.approx((precision, recall), abs=1e-9)


def test_nobody_to_find_is_no_score():
    empty = Scene(np.zeros((2, 1)), np.array([0.5, 0.4]), np.array([True]))
    assert all(np.isnan(value) for value in average_precision([empty]))
    assert all(np.isnan(value) for value in average_precision([]))
    missed = Scene(np.zeros((0, 1)), np.zeros(0), np.array([False]))
    assert average_precision([missed]) == (0.0, 0.0)


def test_average_recall_needs_no_scores():
    assert average_recall(np.array([1.0, 0.72, 0.0])) == pytest.approx((10 + 5 + 0) / 30)
    assert np.isnan(average_recall(np.zeros(0)))
    with pytest.raises(ValueError, match="NaN"):
        average_recall(np.array([np.nan]))
