import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from posegen.exports.background import continued

pads = st.integers(0, 40)
edges = st.floats(-50, 90)
SIDE = 256


def noise(seed, sigma, shape=(SIDE, SIDE)):
    """Return noise of deviation 1, smooth over about `sigma` pixels."""
    small = np.random.default_rng(seed).standard_normal((shape[0] // sigma + 2, shape[1] // sigma + 2))
    size = (small.shape[1] * sigma, small.shape[0] * sigma)
    smooth = np.asarray(Image.fromarray(small.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    smooth = smooth[: shape[0], : shape[1]]
    return (smooth - smooth.mean()) / smooth.std()


def coloured(grey):
    return np.clip(np.stack([grey, 0.8 * grey, 0.6 * grey], axis=2), 0, 255).astype(np.uint8)


def grass():
    return coloured(130 + 25 * noise(1, 1) + 20 * noise(2, 3))


def bricks():
    y, x = np.mgrid[:SIDE, :SIDE]
    column = (x + y // 16 % 2 * 20) // 40
    tone = 120 + 20 * np.random.default_rng(3).standard_normal((20, 20))[y // 16, column]
    mortar = (y % 16 < 3) | ((x + y // 16 % 2 * 20) % 40 < 3)
    return coloured(np.where(mortar, 230, tone) + 4 * noise(4, 1))


def sea():
    """Return a picture whose sky and sea meet above row 100."""
    y = np.mgrid[:SIDE, :SIDE][0]
    return coloured(np.where(y < 100, 220 + 4 * noise(5, 16), 90 + 18 * noise(6, 2)))


def detail(pixels):
    """Return the deviation of what changes from pixel to pixel."""
    grey = pixels.astype(float).mean(axis=2)
    return (
        grey[1:-1, 1:-1] - (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    ).std()


def with_figure(pixels, box):
    """Return the picture with something in it that it is not like anywhere else, and lies within the box."""
    left, top, right, bottom = box
    pixels = pixels.copy()
    pixels[top : bottom + 1, left : right + 1] = (255, 0, 255)
    return pixels


def is_figure(pixels):
    red, green, blue = pixels.astype(int).transpose(2, 0, 1)
    return (blue > green + 60) & (red > green + 60)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    pads,
    pads,
    pads,
    pads,
    st.none()
    | st.tuples(edges, edges, edges, edges).filter(lambda box: box[0] <= box[2] and box[1] <= box[3]),
)
def test_the_picture_lies_untouched_in_a_larger_one(height, width, left, top, right, bottom, avoid):
    pixels = np.random.default_rng(height * 41 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = pixels.copy()
    grown = continued(pixels, left, top, right, bottom, avoid)
    assert grown.shape == (top + height + bottom, left + width + right, 3)
    assert grown.dtype == np.uint8
    assert (grown[top : top + height, left : left + width] == before).all()
    assert (pixels == before).all()


def test_a_plain_background_stays_plain():
    pixels = np.full((120, 80, 3), (200, 150, 90), np.uint8)
    grown = continued(pixels, 100, 0, 100, 0).astype(int)
    assert np.abs(grown - (200, 150, 90)).max() <= 2
    assert np.abs(grown[:, :100].mean(axis=(0, 1)) - (200, 150, 90)).max() < 0.1


def test_a_figure_away_from_the_edge_leaves_no_trace_beyond_it():
    pixels = np.full((200, 200, 3), 180, np.uint8)
    pixels[30:170, 40:160] = (20, 40, 60)
    assert np.abs(continued(pixels, 0, 150, 0, 150).astype(int)[:150] - 180).max() <= 2


def test_a_gradient_goes_on_over_the_seam_and_then_rests():
    rows = np.linspace(120, 200, 256)[:, None, None]
    pixels = np.broadcast_to(rows, (256, 256, 3)).round().astype(np.uint8)
    lines = continued(pixels, 0, 120, 0, 120).mean(axis=(1, 2))
    slope = 80 / 255
    assert np.abs(np.diff(lines[110:140]) - slope).max() < 0.75  # whole levels, so steps of 0 and 1
    assert lines[110] < lines[125] - 3
    assert lines[0] > 120 - 21
    assert np.abs(np.diff(lines[:40])).mean() < slope / 2


def test_a_line_on_the_background_goes_on_straight():
    pixels = np.full((200, 100, 3), 200, np.uint8)
    pixels[120:] = 90
    grown = continued(pixels, 0, 0, 150, 0).astype(int)[..., 0]
    assert np.abs(grown[:119, 100:] - 200).max() <= 3
    assert np.abs(grown[121:, 100:] - 90).max() <= 3


def test_grain_goes_on():
    noise = np.random.default_rng(3).normal(0, 4, (256, 256, 1))
    pixels = np.clip(150 + noise, 0, 255).round().astype(np.uint8).repeat(3, axis=2)
    grown = continued(pixels, 0, 0, 100, 0)[:, 256:].astype(float)
    assert grown.std() == pytest.approx(4, abs=1)


@pytest.mark.parametrize("sides", [(90, 0, 90, 0), (0, 90, 0, 90)], ids=["sides", "top and bottom"])
@pytest.mark.parametrize("picture", [grass, bricks, sea])
def test_texture_goes_on_as_rough_as_it_is(picture, sides):
    pixels = picture()
    grown = continued(pixels, *sides, avoid=(100, 60, 150, 200))
    left, top, _, _ = sides
    before, after = (grown[:, :left], grown[:, -left:]) if left else (grown[:top], grown[-top:])
    along = (pixels[:, :70], pixels[:, -70:]) if left else (pixels[:60], pixels[-55:])
    assert 0.7 < detail(before) / detail(along[0]) < 1.3
    assert 0.7 < detail(after) / detail(along[1]) < 1.3


@pytest.mark.parametrize("picture", [grass, bricks, sea])
def test_no_seam_shows_between_picture_and_texture(picture):
    pixels = picture()
    grown = continued(pixels, 0, 0, 80, 0, avoid=(80, 60, 130, 200)).astype(float).mean(axis=2)
    steps = np.abs(np.diff(grown, axis=1)).mean(axis=0)
    assert steps[SIDE - 1] < 1.5 * np.quantile(steps[SIDE - 70 : SIDE - 1], 0.9)
    smooth = grown.mean(axis=0)
    assert abs(smooth[SIDE : SIDE + 40].mean() - smooth[SIDE - 40 : SIDE].mean()) < 6


@pytest.mark.parametrize("avoid", [None, (90, 40, 160, 240)])
def test_a_horizon_goes_on_straight(avoid):
    grown = continued(sea(), 120, 0, 120, 0, avoid=avoid).astype(float).mean(axis=2)
    for beyond in (grown[:, :120], grown[:, -120:]):
        rows = np.abs(beyond[1:] - beyond[:-1])[60:140].argmax(axis=0) + 61
        assert (np.abs(rows - 100) <= 1).mean() > 0.95


def test_texture_repeats_itself_nowhere_nearby():
    grown = continued(grass(), 0, 0, 120, 0, avoid=(0, 60, 120, 200)).astype(float).mean(axis=2)
    grown -= grown.mean()
    beyond = grown[:, SIDE:]
    for apart in range(8, 200):
        earlier = grown[:, SIDE - apart : SIDE - apart + 120]
        assert (beyond * earlier).mean() < 0.5 * beyond.std() * earlier.std()
    mirrored = grown[:, SIDE - 120 : SIDE][:, ::-1]
    assert (beyond * mirrored).mean() < 0.3 * beyond.std() * mirrored.std()


@pytest.mark.parametrize(
    ("figure", "avoid"),
    [
        ((60, 30, 200, 225), (57, 27, 203, 228)),
        ((0, 90, 170, 110), (-9, 87, 173, 113)),
        ((0, 90, 170, 110), (0, 0, 173, 255)),
        ((100, 0, 140, 255), (97, 0, 143, 255)),
        ((80, 210, 150, 255), (0, 205, 255, 255)),
    ],
    ids=["middle", "hand at the edge", "box along the edge", "from top to bottom", "box along the bottom"],
)
@pytest.mark.parametrize("picture", [grass, sea])
def test_the_figure_is_not_copied(picture, figure, avoid):
    pixels = with_figure(picture(), figure)
    grown = continued(pixels, 70, 50, 70, 50, avoid=avoid)
    assert is_figure(grown).sum() == is_figure(pixels).sum()


def test_a_hand_at_the_edge_of_a_plain_ground_draws_no_streak():
    rows = np.linspace(150, 190, SIDE)[:, None, None]
    pixels = np.broadcast_to(rows, (SIDE, SIDE, 3)).round().astype(np.uint8).copy()
    pixels[100:120, :90] = (230, 160, 130)
    grown = continued(pixels, 120, 0, 0, 0, avoid=(-10, 20, 200, 240)).astype(int)
    assert np.abs(grown[:, :120].mean(axis=1) - rows[:, 0]).max() < 6


def test_a_figure_all_along_the_edge_gives_way_to_the_ground_between():
    pixels = np.full((SIDE, SIDE, 3), 180, np.uint8)
    pixels[40:60, :] = pixels[150:190, :] = 30
    grown = continued(pixels, 100, 0, 100, 0, avoid=(0, 0, SIDE, SIDE)).astype(int)
    assert np.abs(grown[:, :100] - 180).max() <= 3
    assert np.abs(grown[:, -100:] - 180).max() <= 3


def test_a_ground_seen_nowhere_gives_its_middle_colour():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    grown = continued(pixels, 5, 0, 5, 0, avoid=(0, 0, 32, 32)).astype(int)
    assert grown[:, :5].std() < 40 < pixels.std()


def test_growing_to_several_times_the_size_keeps_the_texture():
    pixels = grass()[:96, :96]
    grown = continued(pixels, 300, 200, 300, 200)
    assert 0.6 < detail(grown[:200]) / detail(pixels) < 1.3
    assert 0.6 < detail(grown[:, :300]) / detail(pixels) < 1.3
    assert np.abs(grown.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 30


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 200), (200, 1), (2, 64), (300, 12)])
def test_strips_are_continued_too(height, width):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    grown = continued(pixels, 30, 30, 30, 30, avoid=(0, 0, 0, 0))
    assert grown.shape == (height + 60, width + 60, 3)


def test_nothing_to_add_gives_the_picture():
    assert (continued(grass(), 0, 0, 0, 0, avoid=(1, 1, 9, 9)) == grass()).all()


@pytest.mark.parametrize("picture", [grass, sea])
def test_the_same_textured_picture_gives_the_same_background(picture):
    first, second = (continued(picture(), 40, 30, 20, 10, avoid=(100, 50, 150, 200)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("box", [(5, 0, 4, 9), (0, 9, 9, 5), (0, 0, np.nan, 9), (-np.inf, 0, 9, 9)])
def test_a_box_is_a_box(box):
    with pytest.raises(ValueError, match="not a box"):
        continued(np.zeros((4, 4, 3), np.uint8), 1, 0, 0, 0, avoid=box)


def test_the_same_picture_gives_the_same_background():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (continued(pixels, 9, 9, 9, 9) == continued(pixels, 9, 9, 9, 9)).all()


def test_cutting_is_not_continuing():
    with pytest.raises(ValueError, match="0 or more"):
        continued(np.zeros((4, 4, 3), np.uint8), -1, 0, 0, 0)


def test_a_mask_must_be_as_large_as_the_picture() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    for mask in (np.zeros((30, 20), np.bool_), np.zeros((20, 30), np.uint8)):
        with pytest.raises(ValueError, match=r"the mask must be bool of shape \(20, 30\)"):
            continued(pixels, 1, 1, 1, 1, mask)  # type: ignore[arg-type]


def test_beside_spread_arms_texture_is_laid_where_a_box_leaves_none() -> None:
    rng = np.random.default_rng(5)
    pixels = (
        np.repeat(np.repeat(rng.integers(60, 200, (64, 64, 1)), 8, 0), 8, 1).repeat(3, 2).astype(np.uint8)
    )
    figure = np.zeros((512, 512), np.bool_)
    figure[200:260, 6:506] = True
    figure[60:500, 230:280] = True
    pixels[figure] = (200, 20, 20)
    by_mask = continued(pixels, 150, 0, 0, 0, figure)[:, :150].astype(int)
    by_box = continued(pixels, 150, 0, 0, 0, (6, 60, 506, 500))[:, :150].astype(int)
    sharp = [np.abs(np.diff(part.mean(axis=2), axis=0)).mean() for part in (by_mask, by_box)]
    assert sharp[0] > 2 * sharp[1]
    red = (by_mask[..., 0] > by_mask[..., 1] + 90).mean()
    assert red < 0.02
