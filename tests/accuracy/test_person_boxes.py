import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.accuracy.person_boxes import GREY, anchors, keep_apart, letterbox, yolox_people


def resized(pixels, width, height):
    """Bilinear by the definition: corners on corners, the edge repeated."""
    rows = (np.arange(height) + 0.5) * pixels.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * pixels.shape[1] / width - 0.5
    top = np.clip(np.floor(rows).astype(int), 0, pixels.shape[0] - 1)
    left = np.clip(np.floor(columns).astype(int), 0, pixels.shape[1] - 1)
    bottom, right = np.minimum(top + 1, pixels.shape[0] - 1), np.minimum(left + 1, pixels.shape[1] - 1)
    down = np.clip(rows - top, 0, 1)[:, None, None]
    across = np.clip(columns - left, 0, 1)[None, :, None]
    upper = pixels[top][:, left] * (1 - across) + pixels[top][:, right] * across
    lower = pixels[bottom][:, left] * (1 - across) + pixels[bottom][:, right] * across
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(
    ("height", "width"),
    [(100, 200), (200, 100), (64, 64), (70, 100), (30, 20), (1000, 700), (1, 500), (500, 1)],
)
def test_a_picture_is_fitted_at_the_top_left_and_the_rest_is_grey(height, width):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    framed, ratio = letterbox(pixels, 64, 64)
    assert ratio == pytest.approx(64 / max(height, width))
    inner_height, inner_width = max(1, int(height * ratio)), max(1, int(width * ratio))
    expected = resized(pixels.astype(float), inner_width, inner_height)
    assert np.abs(framed[:inner_height, :inner_width] - expected).max() <= 1
    outside = np.ones((64, 64), dtype=bool)
    outside[:inner_height, :inner_width] = False
    assert (framed[outside] == GREY).all()


def test_the_input_need_not_be_square():
    framed, ratio = letterbox(np.zeros((50, 100, 3), dtype=np.uint8), 96, 32)
    assert framed.shape == (32, 96, 3)
    assert ratio == pytest.approx(0.64)


def test_anchors_are_counted_level_by_level():
    assert anchors(640, 640).shape == (8400, 3)
    grid = anchors(64, 32)
    assert grid[0].tolist() == [0, 0, 8]
    assert grid[9].tolist() == [1, 1, 8]
    assert grid[32].tolist() == [0, 0, 16]
    assert grid[-1].tolist() == [1, 0, 32]


def decoded_by_hand(raw, size, threshold):
    boxes, scores, place = [], [], 0
    for stride in (8, 16, 32):
        for row in range(size // stride):
            for column in range(size // stride):
                x, y, width, height, sure, person = raw[place][:6]
                place += 1
                if sure * person >= threshold:
                    middle = (column + x) * stride, (row + y) * stride
                    half = np.exp(width) * stride / 2, np.exp(height) * stride / 2
                    boxes.append([*np.subtract(middle, half), *np.add(middle, half)])
                    scores.append(sure * person)
    return np.array(boxes), np.array(scores)


def test_raw_output_is_decoded_as_by_hand():
    raw = np.random.default_rng(2).random((84, 85))
    boxes, scores = yolox_people(raw, 64, 64, 0.3)
    expected_boxes, expected_scores = decoded_by_hand(raw, 64, 0.3)
    assert 10 < len(boxes) < 84
    np.testing.assert_allclose(boxes, expected_boxes)
    np.testing.assert_allclose(scores, expected_scores)


def test_other_classes_are_nobody():
    raw = np.zeros((84, 85))
    raw[:, 4] = 1.0
    raw[:, 6] = 1.0
    boxes, scores = yolox_people(raw, 64, 64, 0.3)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_a_huge_value_does_not_overflow():
    raw = np.full((84, 6), 5.0, dtype=np.float32)
    raw[:, 2:4] = 1000.0
    boxes, _ = yolox_people(raw, 64, 64, 0.3)
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("shape", [(83, 85), (84, 5), (1, 84, 85)])
def test_an_output_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        yolox_people(np.zeros(shape), 64, 64, 0.3)


def test_an_output_that_is_not_finite_is_refused():
    raw = np.zeros((84, 6))
    raw[3, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        yolox_people(raw, 64, 64, 0.3)


def overlap_of(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    return common / (
        (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - common
    )


def kept_by_hand(boxes, scores, overlap):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(overlap_of(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return kept


whole = st.integers(0, 40)


@given(
    st.lists(st.tuples(whole, whole, st.integers(1, 30), st.integers(1, 30), st.integers(1, 9)), max_size=25),
    st.sampled_from([0.1, 0.45, 0.9]),
)
def test_suppression_agrees_with_a_loop(entries, overlap):
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in entries], dtype=float).reshape(-1, 4)
    scores = np.array([score / 10 for *_, score in entries])
    assert keep_apart(boxes, scores, overlap).tolist() == kept_by_hand(boxes, scores, overlap)


def test_the_surer_of_two_boxes_stays():
    boxes = np.array([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    assert keep_apart(boxes, np.array([0.5, 0.9, 0.4]), 0.45).tolist() == [1, 2]
    assert keep_apart(np.zeros((0, 4)), np.zeros(0), 0.45).tolist() == []
