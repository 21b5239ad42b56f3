"""`select`: a metric that nobody answers is refused at the first evaluation, before hours are spent on it."""

import pytest

import sslkit
from sslkit.errors import RunError

METRIC = """
from dataclasses import dataclass
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Late:
    "Answers some of its numbers only where pseudo-labels, a baseline, or a finished generation are there."

    @hookimpl
    def measure(self, data, stored, baseline, progress):
        numbers = {"share": 0.5}
        if stored is not None:
            numbers["agreement"] = float(len(stored.index))
        if baseline is not None:
            numbers["gain"] = 0.1
        if progress.step == progress.steps:
            numbers["thorough"] = 0.2
        return numbers

@dataclass(eq=False, kw_only=True)
class Unheld:
    "Another metric than accuracy, where no image is held out."

    @hookimpl
    def measure(self):
        return {"share": 0.5}
"""
LATE = '[[metric]]\nuse = "./plugins.py:Late"\n'


@pytest.fixture
def selecting(recipe, out):
    """`selecting("share")`: a run's summary that selects by a metric."""

    def run(select, text=LATE, **overrides):
        path = recipe(text, METRIC)
        return sslkit.run(path, overrides={"select": select, **overrides}, out=out, device="cpu").summary

    return run


@pytest.mark.parametrize("select", ["validaton_accuracy", "shares", "f1"])
@pytest.mark.parametrize("baseline", [True, False])
def test_what_no_metric_answers_is_refused_at_once(selecting, out, select, baseline):
    with pytest.raises(RunError) as caught:
        selecting(select, baseline=baseline)
    message = str(caught.value)
    assert f'`select = "{select}"`' in message and "they answer: " in message and "agreement" in message
    assert ("Did you mean `share`?" in message) == (select == "shares")
    assert not list(out.rglob("generation-1*")), "nothing was trained beyond the first evaluation"


@pytest.mark.parametrize("select", ["share", "agreement", "gain", "thorough"])
def test_what_is_answered_in_time_is_waited_for(selecting, select):
    first, second = selecting(select, baseline=True)["generations"]
    assert (first["selected"] is None) == (select == "agreement"), "the first generation has no pseudo-labels"
    assert second["selected"]["step"] == (4 if select == "thorough" else 2)


def test_the_default_needs_no_validation_images(selecting):
    summary = selecting("validation_accuracy", 'metric = [{ use = "./plugins.py:Unheld" }]\n')
    assert [generation["selected"] for generation in summary["generations"]] == [None, None]


def test_without_metrics_nothing_is_refused(selecting):
    assert selecting("anything", "metric = []\n")["status"] == "finished"
