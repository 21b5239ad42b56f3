"""A view that is given to a plugin in another's role is refused when a recipe is checked, before anything is trained."""

import pytest
from driving import Bench

from sslkit.errors import RecipeError
from sslkit.recipe import load

WRONG = {
    ("adamatch", "labeler.relative_confidence.on", "weak"): "relative_confidence: `on` names weak, of the unlabeled",
    ("simmatch", "labeler.instance_similarity.on", ("labeled", "strong", "weak")): "labeled is of the labeled stream",
    ("comatch", "labeler.memory_smoothing.on", ("labeled", "weak")): "labeled is of the labeled stream; first comes",
    ("abc", "loss.balanced_head.on", ("strong", "labeled", "weak")): "takes labeled views first, then two or more",
}


@pytest.mark.parametrize(("name", "key", "on"), WRONG)
def test_a_view_in_anothers_role(name, key, on):
    on_ = list(on) if isinstance(on, tuple) else on
    recipe = load(name, {key: on_, "baseline": False, "batch.labeled": 4, "batch.unlabeled": 4, "workers": 0})
    with pytest.raises(RecipeError) as caught:
        Bench(recipe).train(1)
    assert WRONG[name, key, on] in str(caught.value)
