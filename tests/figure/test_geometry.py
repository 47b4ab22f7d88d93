import numpy as np
import pytest

from posegen.figure.appearance import Appearance
from posegen.figure.body import body_shape
from posegen.figure.color import encode, linear
from posegen.figure.garments import BOTTOMS, TOPS, bottom_surface, top_surface
from posegen.figure.hair import CUTS, hair_surfaces
from posegen.figure.head import skull_radius
from posegen.figure.mesh import body_topology, bone_transforms, load_mesh, move, vertex_transforms
from posegen.figure.outline import rounded_hull
from posegen.figure.raster import Triangles, Window, depths, idents, new_buffer, rasterise
from posegen.figure.seat import seat_surface
from posegen.figure.shoes import LASTS, shoe_surface
from posegen.figure.skirt import skirt_surface
from posegen.figure.topology import build_topology, smooth, spread_maximum, vertex_normals
from posegen.figure.wardrobe import dress

SHAPES = [
    body_shape(0.0, 0.0, 0.0),
    body_shape(1.0, 1.0, 0.2),
    body_shape(0.0, -1.0, 0.0),
    body_shape(0.5, 0.0, 1.0),
]


def test_rest_rotations_leave_the_body_where_it_is():
    mesh, shape = load_mesh(), SHAPES[0]
    still = np.tile(np.eye(3), (len(mesh.parents), 1, 1))
    moved = move(
        shape.vertices, vertex_transforms(mesh.weights, bone_transforms(still, shape.heads[0], shape.heads))
    )
    assert np.abs(moved - shape.vertices).max() < 1e-5


def test_turning_everything_turns_the_body():
    mesh, shape = load_mesh(), SHAPES[0]
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    bones = bone_transforms(np.tile(turn, (len(mesh.parents), 1, 1)), np.zeros(3), shape.heads)
    moved = move(shape.vertices, vertex_transforms(mesh.weights, bones))
    assert np.abs(moved - (shape.vertices - shape.heads[0]) @ turn.T).max() < 1e-5


def surfaces(shape):
    yield from (top_surface(name, shape) for name in TOPS)
    yield from (bottom_surface(name, shape) for name in BOTTOMS)
    yield from (shoe_surface(name, shape) for name in LASTS)
    yield skirt_surface(shape)
    for style in CUTS:
        yield from hair_surfaces(style, shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_surface_is_sound(shape):
    for surface in surfaces(shape):
        assert np.isfinite(surface.rest).all()
        assert np.abs(surface.rest).max() < 1.4
        assert len(np.unique(surface.faces)) == len(surface.rest)
        normals = vertex_normals(surface.rest, surface.topology)
        assert np.isfinite(normals).all()


def test_garments_stand_off_the_body():
    shape = SHAPES[0]
    shirt = top_surface("t-shirt", shape)
    skin = shape.vertices[shirt.follow]
    normals = vertex_normals(skin, shirt.topology)
    gap = ((shirt.rest - skin) * normals).sum(axis=1)[shirt.border > 0.06]
    assert np.quantile(gap, 0.05) > 0.002
    assert 0.007 < np.median(gap) < 0.03


def test_bald_and_buzz_cut_have_no_hair_surface():
    assert hair_surfaces("bald", SHAPES[0]) == ()
    assert hair_surfaces("buzz cut", SHAPES[0]) == ()


def test_seat_reaches_from_floor_to_top():
    seat = seat_surface(0.45, (0.1, -0.2), 0.0, -0.015)
    assert seat.rest[:, 2].min() == pytest.approx(-0.015)
    assert seat.rest[:, 2].max() == pytest.approx(0.45, abs=0.005)
    assert seat.rest[:, 0].mean() == pytest.approx(0.1, abs=0.01)


def square(size, depth, ident):
    x = np.array([[0.0, size, 0], [size, size, 0]]) - 0.5
    y = np.array([[0.0, 0, size], [0, size, size]]) - 0.5
    return Triangles(x, y, np.full((2, 3), depth, np.float32), np.array([ident, ident]))


def test_raster_covers_each_sample_of_a_square_once_and_the_nearest_wins():
    window = Window(0, 0, 10, 10, shifted=False)
    buffer = new_buffer(window)
    rasterise(square(6, 2.0, 7), window, buffer)
    rasterise(square(3, 1.0, 8), window, buffer)
    rasterise(square(8, 3.0, 9), window, buffer)
    found = idents(buffer).reshape(10, 10)
    expected = np.full((10, 10), -1)
    expected[:8, :8], expected[:6, :6], expected[:3, :3] = 9, 7, 8
    assert np.array_equal(found, expected)
    assert depths(buffer).reshape(10, 10)[0, 0] == 1.0
    assert np.isinf(depths(buffer).reshape(10, 10)[9, 9])


def test_raster_clips_to_its_window_and_takes_nothing():
    window = Window(4, 4, 3, 3, shifted=False)
    buffer = new_buffer(window)
    rasterise(square(100, 1.0, 1), window, buffer)
    assert (idents(buffer) == 1).all()
    empty = np.empty((0, 3))
    rasterise(Triangles(empty, empty, empty.astype(np.float32), np.empty(0, int)), window, buffer)


def test_raster_keeps_only_what_lies_inside_a_field():
    window = Window(0, 0, 8, 8, shifted=False)
    buffer = new_buffer(window)
    plain = square(8, 1.0, 1)
    field = (3.0 - plain.x).astype(np.float32)
    rasterise(Triangles(plain.x, plain.y, plain.depth, plain.ident, (field,)), window, buffer)
    assert np.array_equal(idents(buffer).reshape(8, 8)[0] == 1, np.arange(8) < 3)


def test_smoothing_and_maximum_on_a_strip():
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    topology = build_topology(faces, 4)
    values = np.array([0.0, 0, 0, 1], np.float32)
    assert spread_maximum(values, topology, 1).tolist() == [0, 1, 1, 1]
    assert smooth(np.ones(4, np.float32), topology, 5) == pytest.approx(np.ones(4))
    assert smooth(values, topology, 1, 1.0)[1] == pytest.approx(1 / 3)


def test_smoothing_takes_the_mean_of_the_neighbours_of_every_vertex():
    topology, shape = body_topology(), SHAPES[1]
    around = np.add.reduceat(
        shape.vertices.astype(float)[topology.neighbours], topology.neighbour_starts, axis=0
    )
    mean = around / topology.degree[:, None]
    assert smooth(shape.vertices, topology, 1, 1.0) == pytest.approx(mean, abs=1e-6)
    one = smooth(shape.vertices[:, 2].copy(), topology, 3)
    assert np.array_equal(one, smooth(shape.vertices, topology, 3)[:, 2])


def test_smoothing_leaves_a_vertex_of_no_face_alone():
    topology = build_topology(np.array([[0, 1, 2]]), 4)
    assert smooth(np.array([0.0, 0, 0, 7], np.float32), topology, 3).tolist() == [0, 0, 0, 7]
    assert smooth(np.array([1.0, 2], np.float32), build_topology(np.empty((0, 3), int), 2), 2).tolist() == [
        1,
        2,
    ]


def test_bodies_of_every_shape_share_the_adjacency_of_a_garment():
    first, second = (top_surface("hoodie", shape) for shape in SHAPES[:2])
    assert first.topology is second.topology


def test_colors_do_not_make_new_surfaces():
    first, second = dress(Appearance(top_color="#102030", age=0.9)), dress(Appearance(skin="#6b4a36"))
    assert len(first) == len(second)
    assert all(a is b for a, b in zip(first, second, strict=True))


def test_skull_is_the_same_whichever_directions_are_asked_with_it():
    azimuth, elevation = np.linspace(-np.pi, np.pi, 30, endpoint=False), np.linspace(1.5, -0.6, 11)
    whole = skull_radius(SHAPES[0], tuple(azimuth), tuple(elevation))
    alone = skull_radius(SHAPES[0], (azimuth[7],), (elevation[8],))
    assert whole.shape == (11, 30)
    assert whole[8, 7] == pytest.approx(alone[0, 0], rel=1e-12)


def test_rounded_hull_of_a_square_is_outside_it_by_the_clearance():
    corners = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    reach = rounded_hull(corners, np.zeros(2), np.array([0.0, np.pi / 2, np.pi]), 0.1)
    assert reach == pytest.approx([1.1, 1.1, 1.1], abs=1e-6)


def test_colors_survive_the_round_trip():
    for code in ("#000000", "#ffffff", "#8a3f12", "#010203"):
        back = encode(linear(code)[None])[0]
        assert np.abs(back.astype(int) - [int(code[i : i + 2], 16) for i in (1, 3, 5)]).max() <= 1


def test_color_that_is_none_is_refused():
    with pytest.raises(ValueError, match="#a1b2c3"):
        linear("blue")
