"""The paper-scale recipes run, every generation of them, as their heads say: on small pictures, by `extends`."""

import functools
from dataclasses import dataclass, replace

import pytest
import torch
from scaled_down import EACH, example, runnable, scaled_down

import sslkit
from sslkit import hookimpl
from sslkit.check.probe import probe
from sslkit.errors import MissingData, RunError
from sslkit.opening import open_data
from sslkit.recipe import load, shipped
from sslkit.recipe.model import Entry
from sslkit_plugins.labeler.fixed_selection import FixedSelection
from sslkit_plugins.model.unstrided import Unstrided

QUIET = {"tracker": [{"use": "jsonl"}], "log_every": 1}
NAMES = [name for name in shipped() if example(name)]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """`done(name)`: the finished run of a recipe's example, run once."""

    @functools.cache
    def finished(name):
        folder = tmp_path_factory.mktemp(name)
        return sslkit.run(scaled_down(name, folder), overrides=QUIET, out=folder / "run", device="cpu")

    return finished


def test_those_whose_data_is_not_here_show_how_to_try_them(tmp_path):
    for name in shipped():
        if "/" in name:  # profiles of a data set: tests/methods has them
            continue
        try:
            open_data(load(name))
        except MissingData as error:
            assert name in NAMES and "root" in str(error)
    assert {"noisy_student_imagenet", "noisy_student_svhn"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_generation_runs(done, name):
    summary = done(name).summary
    assert summary["status"] == "finished" and len(summary["generations"]) == len(load(name).generations)
    assert [entry["index"] for entry in summary["generations"]] == list(range(len(summary["generations"])))
    assert all(0 <= entry["test_accuracy"] <= 1 for entry in summary["generations"])


@pytest.mark.parametrize("name", NAMES)
def test_the_example_differs_in_what_a_smaller_computer_asks_for_alone(done, name):
    """The same plugins, in the same order, in each generation."""
    pairs = zip(load(name).generations, done(name).recipe().generations, strict=True)
    for big, small in pairs:
        assert [(e.section, e.name, e.use, e.on) for e in big.entries() if e.section != "tracker"] == [
            (e.section, e.name, e.use, e.on) for e in small.entries() if e.section != "tracker"
        ]
        assert (big.settings.labels, big.settings.init) == (small.settings.labels, small.settings.init)
        assert replace(big.optimizer, rate=small.optimizer.rate) == small.optimizer and big.views == small.views


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_of_it_is_alive(tmp_path, name):
    recipe = runnable(name, tmp_path)
    found = probe(recipe, open_data(recipe), torch.device("cpu"))
    assert all(one.alive for one in found)
    both = [list(one.terms) == ["supervised", "distillation"] for one in found]
    assert both == [e is not None and "distillation" in terms_of(recipe, i) for i, e in enumerate(found)]


def terms_of(recipe, index):
    """Losses that a generation has: the first has no teacher, and a fine-tuning none either."""
    on = [entry.name for entry in recipe.generations[index].entries() if entry.section == "loss"]
    return on if index else on[:1]


# ImageNet ---------------------------------------------------------------------------------------------------------------


def frozen(name):
    return name.startswith(("model.conv_stem", "model.bn1", "model.blocks.0", "model.blocks.1"))


def test_the_last_generation_fine_tunes_the_one_before_at_the_tests_resolution(done):
    """From its average, shallow layers bit for bit as they were, batch-norm's statistics included; the others move."""
    run = done("noisy_student_imagenet")
    before, after = run.model(3), run.model(4)
    assert (before.image_size, after.image_size) == (24, 40) and run.model(0).image_size == 32
    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys()
    kept = {name for name in old if torch.equal(old[name], new[name])}
    assert kept == {name for name in old if frozen(name)} and len(kept) > 20


def test_the_next_generations_start_from_scratch(done):
    run = done("noisy_student_imagenet")
    one, two = (run.model(i).state_dict()["model.conv_stem.weight"] for i in (1, 2))
    assert not torch.equal(one, two)


def test_the_pool_is_selected_once_and_then_relabeled(done):
    """The second and third student learn from the images that the first teacher chose, with labels of their own."""
    run = done("noisy_student_imagenet")
    first, second, third = (run.labels(i) for i in (1, 2, 3))
    assert torch.equal(first.copies, second.copies) and torch.equal(first.copies, third.copies)
    assert not torch.equal(first.probs, second.probs) and not torch.equal(second.probs, third.probs)
    classes = first.label[first.copies > 0].unique()
    drawn = [first.copies[first.label == k].sum().item() for k in classes.tolist()]
    assert drawn == pytest.approx([8.0] * len(classes)) and len(first.index) == 3 * EACH
    assert any(isinstance(e.plugin, FixedSelection) for e in run.recipe().generations[1].entries())


@dataclass(eq=False)
class Stop:
    """Fails once in the third generation."""

    @hookimpl
    def after_step(self, progress):
        if (progress.generation, progress.step) == (2, 1):
            raise RunError("enough")


def test_a_run_that_stopped_goes_on_with_the_selection_and_ends_in_the_same_bits(done, tmp_path):
    whole, folder = done("noisy_student_imagenet"), tmp_path / "run"
    recipe = load(scaled_down("noisy_student_imagenet", tmp_path), {**QUIET, "save_every": 1})
    for cfg in recipe.generations:
        cfg.entries = lambda made=cfg.entries: [*made(), Entry("labeler", "stop", "stop", Stop())]
    with pytest.raises(RunError, match="enough"):
        sslkit.run(recipe, out=folder, device="cpu")
    resumed = sslkit.run(resume=folder, device="cpu")
    for index in (1, 2, 3):
        assert torch.equal(resumed.labels(index).copies, whole.labels(index).copies)
    one, other = resumed.model(4).state_dict(), whole.model(4).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_soft_labels_reach_the_student_unsmoothed(done):
    stored = done("noisy_student_imagenet").labels(1)
    assert torch.equal(stored.probs, stored.raw) and (stored.raw.max(1).values < 1).all()


# SVHN -------------------------------------------------------------------------------------------------------------------


def test_the_svhn_student_sees_small_images_large(done):
    run = done("noisy_student_svhn")
    seen = []
    network = run.model(1)
    network.model.conv_head.register_forward_hook(lambda *call: seen.append(call[1][0].shape[-1]))
    with torch.no_grad():
        network(torch.rand(1, 3, 32, 32))
    assert seen == [4] and network.image_size == 32
    entry = next(e for e in run.recipe().generations[0].entries() if e.section == "model")
    assert isinstance(entry.plugin, Unstrided) and entry.plugin.layers == ["blocks.1", "blocks.2"]


# Small to large ---------------------------------------------------------------------------------------------------------


def test_each_generation_is_larger_and_learns_from_the_one_before(tmp_path):
    small = {**QUIET, "steps": 2, "batch": {"labeled": 6, "unlabeled": 12}, "save_every": 0, "evaluate_every": 0,
             "baseline": False, "workers": 0, "model.size": 16, "data.test": 1500}  # fmt: skip
    run = sslkit.run("noisy_student_small_to_large", overrides=small, out=tmp_path / "run", device="cpu")
    assert [entry["steps"] for entry in run.summary["generations"]] == [2] * 4
    sizes = [sum(p.numel() for p in run.model(i).parameters()) for i in range(4)]
    assert sizes == sorted(set(sizes)) and sizes[-1] > 5 * sizes[0]
    assert [len(stage) for stage in (run.model(3).model.layer1, run.model(2).model.layer1)] == [2, 1]
    recipe = load("noisy_student_small_to_large")
    assert recipe.warnings == [] and recipe.settings == load("noisy_student").settings  # only the models differ
