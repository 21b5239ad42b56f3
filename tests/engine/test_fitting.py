"""Views of images of any size: the centre, the whole squashed, the whole with a border; the model's way and a view's own."""

import numpy as np
import pytest
from driving import Bench, run
from hypothesis import given, settings
from hypothesis import strategies as st

from sslkit.check.guards import guards
from sslkit.check.probe import compose
from sslkit.errors import RecipeError
from sslkit.images.fitting import fitted
from sslkit.opening import open_data
from sslkit.state import facts_of
from sslkit.types import ViewSpec


def made(images, size, crop=1.0, fit="crop", border=()):
    channels = images[0].shape[2]
    return fitted(images, ViewSpec("weak", "labeled", size, channels, crop, fit, border))


def framed(height, width, box, value=200):
    """Black, but for a box (top, bottom, left, right)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[0] : box[1], box[2] : box[3]] = value
    return image


# Ways -----------------------------------------------------------------------------------------------------------------


def test_the_shorter_side_is_resized_and_the_centre_kept():
    wide = framed(16, 32, (0, 16, 8, 24))
    exact = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    found = made([wide, wide.transpose(1, 0, 2), exact, exact[:5, :4]], 8)
    assert found.shape == (4, 8, 8, 3) and found.dtype == np.uint8
    assert (found[0] == 200).all() and (found[1] == 200).all() and np.array_equal(found[2], exact)


def test_a_share_of_the_shorter_side_is_shown():
    image = framed(20, 30, (5, 15, 10, 20))
    assert (made([image], 8, 0.5) == 200).all() and (made([image], 10, 0.5) == 200).all()
    assert (made([image], 8, 0.6) != 200).any() and (made([image], 8) == 0).any()


def test_squashed_all_of_it_is_seen_and_its_aspect_ratio_lost():
    image = framed(16, 32, (0, 16, 0, 4))  # the leftmost eighth, which a centre square has not
    (found,) = made([image], 8, fit="squash")
    assert (found[:, 0] == 200).all() and (found[:, 1:] == 0).all() and (made([image], 8) == 0).all()
    assert (made([framed(20, 40, (5, 15, 10, 30))], 8, 0.5, "squash") == 200).all()


def test_padded_all_of_it_is_seen_within_a_border():
    (found,) = made([np.full((16, 32, 3), 200, np.uint8)], 8, fit="pad", border=(1, 2, 3))
    assert (found[2:6] == 200).all() and (found[[0, 1, 6, 7]] == (1, 2, 3)).all()
    (tall,) = made([np.full((32, 16, 3), 200, np.uint8)], 8, fit="pad")
    assert (tall[:, 2:6] == 200).all() and (tall[:, [0, 1, 6, 7]] == 0).all()
    # Half of the longer side: the shorter one fits whole.
    assert (made([framed(16, 32, (0, 16, 8, 24))], 8, 0.5, "pad", (9, 9, 9)) == 200).all()


@settings(max_examples=80, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 20), channels=st.sampled_from([1, 3, 4]),
       crop=st.sampled_from([1.0, 0.875, 0.01]), fit=st.sampled_from(["crop", "squash", "pad"]))  # fmt: skip
def test_any_size_becomes_the_views_size(height, width, size, channels, crop, fit):
    found = made([np.full((height, width, channels), 9, np.uint8)], size, crop, fit, (9,) * channels)
    assert found.shape == (1, size, size, channels) and (found == 9).all()


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (1, 1), (2, 3)])
def test_extreme_shapes(shape, fit):
    found = made([np.full((*shape, 3), 90, np.uint8)], 224, fit=fit)
    assert found.shape == (1, 224, 224, 3) and (found == 90).any() and set(np.unique(found)) <= {0, 90}


def test_along_a_side_that_shrinks_pixels_are_averaged_though_the_other_grows():
    stripes = np.zeros((2, 800, 1), np.uint8)
    stripes[:, ::2] = 200
    assert (made([stripes], 8, fit="squash") == 100).all()


# The model's way, and a view's own ------------------------------------------------------------------------------------

VIEWS = """[model]
fit = "pad"
crop = 0.9
mean = [0.2, 0.4, 0.6]
[views.labeled]
fit = "squash"
"""


def test_a_view_is_fitted_as_its_model_says_or_as_it_says_itself(tiny):
    bench = Bench(tiny(VIEWS))
    (spec,) = bench.state.views()
    clean = bench.state.view_spec("clean", "evaluation", bench.state.student)
    assert (spec.fit, spec.crop, clean.fit, clean.crop) == ("squash", 0.9, "pad", 0.9)
    assert clean.border == (51, 102, 153)
    bench = Bench(tiny("[views.labeled]\ncrop = 0.5"))
    (spec,) = bench.state.views()
    assert (spec.fit, spec.crop) == ("crop", 0.5)


def test_a_way_that_is_none_is_refused(tiny):
    with pytest.raises(RecipeError, match=r"(?s)`fit = .stretch.`.*crop.*squash.*pad"):
        tiny('[views.labeled]\nfit = "stretch"')


def test_training_and_evaluation_with_other_ways(tiny, tmp_path):
    assert run(tiny(VIEWS), tmp_path).summary["status"] == "finished"


def told(recipe):
    data = open_data(recipe)
    facts = facts_of(recipe.generations[0], data, "cpu")
    return [one for one in guards(recipe, compose(recipe, data), facts, data) if "resizes" in one]


def test_a_noise_that_resizes_replaces_a_views_own_way_and_check_says_so(tiny):
    noise = '[[noise]]\nuse = "flip_crop"\ncrop = "resized"\n'
    (said,) = told(tiny(VIEWS + noise))
    assert said.startswith('view `labeled`: `fit = "squash"` does nothing, as `flip_crop` resizes its images')
    (said,) = told(tiny("[views.labeled]\ncrop = 0.5\n" + noise))
    assert "`crop = 0.5` does nothing" in said
    assert told(tiny(noise)) == [] and told(tiny(VIEWS)) == []
