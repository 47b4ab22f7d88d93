import numpy as np

from posegen.experiments.pictures import failures, worst
from posegen.images import encode_png
from posegen.pipeline.sheet import FOUND_COLOR, TARGET_COLOR
from posegen.storage import LocalStorage
from tests.experiments.conftest import a_score


def test_the_worst_come_first_and_failed_ones_are_none():
    scores = [a_score("a", cell, oks=oks) for cell, oks in enumerate((0.5, 0.1, 0.3))]
    scores += [a_score("a", 3, oks=None, status="failed"), a_score("b", 0, oks=0.2)]
    assert [(score.arm, score.oks) for score in worst(scores, ["a", "b"], 2)] == [
        ("a", 0.1),
        ("a", 0.3),
        ("b", 0.2),
    ]


def test_both_skeletons_are_drawn_into_the_picture(state, plan, scores, tmp_path):
    storage = LocalStorage(tmp_path)
    grey = encode_png(np.full((256, 256, 3), 128, np.uint8))
    for record in state.records.values():
        storage.put(record.key, grey, content_type="image/png")
    sheet = np.array(failures(state, plan.design, scores, storage, of_each=2).image)
    for color in (TARGET_COLOR, FOUND_COLOR):
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        assert (np.abs(sheet.astype(int) - rgb).sum(axis=-1) < 60).sum() > 200


def test_a_picture_that_is_gone_keeps_its_place(state, plan, scores, tmp_path):
    assert failures(state, plan.design, scores, LocalStorage(tmp_path), of_each=1).image.size[0] > 100
