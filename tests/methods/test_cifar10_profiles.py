"""Every method as it was published on CIFAR-10: validated, alike where papers are, and able to take a step.

The images are not here, so a step is taken on small pictures, by a smaller network of the same kind.
"""

import harness
import pytest
import rows
import torch
from driving import Bench
from scaled_down import fill
from test_every_recipe import PASSES

import sslkit
from sslkit.errors import MissingData, RecipeError
from sslkit.network import build_network
from sslkit.opening import open_data
from sslkit.recipe import load, shipped
from sslkit.state import facts_of, plugins_of

PREFIX = "cifar10/"
PROFILES = [name for name in shipped() if name.startswith(PREFIX)]
MU_1 = {"pi_model", "temporal_ensembling", "mean_teacher", "vat", "ict", "pseudo_label", "mixmatch", "remixmatch"}
LONG_TAILED = {"abc", "darp", "crest", "crest_plus", "distribution_alignment"}
"On labels and a pool whose classes are not equally large, in a quarter of the steps, with mu = 2."
NOT_AVERAGED = {"supervised", "noisy_student", "self_training", "simclrv2_distillation"}
"On digits."
OWN_STEPS = {"meta_pseudo_labels": [300_000, 5_000]}
OWN_BATCH = {"meta_pseudo_labels": (128, 896), "supervised": (64, 0), **dict.fromkeys(LONG_TAILED, (64, 128))}
OWN_AVERAGE = {"meta_pseudo_labels": 0.995}
SETTINGS = {
    "ict": {"loss.consistency.weight": 50.0},
    "pi_model": {"loss.consistency.weight": 10.0},
    "temporal_ensembling": {"loss.consistency.weight": 30.0, "labeler.temporal_ensemble.decay": 0.6},
    "mean_teacher": {"loss.consistency.weight": 50.0},
    "vat": {"loss.consistency.weight": 0.3, "loss.consistency.epsilon": 3.0, "loss.entropy.weight": 0.06},
    "uda": {"labeler.confidence.threshold": 0.8, "labeler.sharpen.temperature": 0.4},
    "pseudo_label": {"labeler.confidence.threshold": 0.95},
    "fixmatch": {"labeler.confidence.threshold": 0.95, "loss.consistency.weight": 1.0},
    "flexmatch": {"labeler.curriculum_threshold.threshold": 0.95},
    "dash": {"labeler.loss_threshold.every": 10_240, "labeler.loss_threshold.gamma": 1.27},
    "freematch": {"labeler.adaptive_threshold.decay": 0.999, "loss.fairness.weight": 0.001},
    "softmatch": {"labeler.gaussian_weight.decay": 0.999, "labeler.gaussian_weight.deviations": 2.0},
    "adamatch": {"labeler.relative_confidence.share": 0.95},
    "comatch": {"labeler.memory_smoothing.share": 0.9, "loss.graph_contrast.temperature": 0.2},
    "simmatch": {"labeler.instance_similarity.temperature": 0.1, "labeler.confidence.threshold": 0.95},
    "defixmatch": {"loss.consistency.weight": 0.5, "loss.debiasing.weight": -0.5},
    "mixmatch": {"noise.mixup.alpha": 0.75, "labeler.sharpen.temperature": 0.5},
    "remixmatch": {"noise.mixup.alpha": 0.75, "labeler.sharpen.temperature": 0.5},
    "meta_pseudo_labels": {"optimizer.rate": 0.05, "step.label_smoothing": 0.15, "step.threshold": 0.6},
}
"What papers and their codes have."


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders as CIFAR-10's, of three classes."""
    root = tmp_path_factory.mktemp("cifar10")
    fill(root, {"labeled": "train", "test": "test"})
    return root


def tiny(name, root, **more):
    """A profile on a few pictures: small batches, one step of each generation, a smaller network of the same kind."""
    small = {
        "steps": 1, "batch.labeled": 6, "evaluate_every": 0, "save_every": 0, "workers": 0, "tracker": [],
        "data.root": str(root), "data.classes": 0, "data.labels_per_class": 2, "data.unlabeled_per_class": 0,
        "model.depth": 10, "model.width": 1,
    }  # fmt: skip
    generations = load(name).generations
    for index, cfg in enumerate(generations):
        prefix = f"generation.{index}." if len(generations) > 1 else ""
        small[f"{prefix}batch.unlabeled"] = 6 if cfg.settings.batch.unlabeled else 0
        for entry in cfg.entries():
            if entry.use == "confidence":
                small[f"labeler.{entry.name}.threshold"] = 0.0
    return load(name, {**small, **more})


def said(recipe, path):
    """What a recipe says at a dotted path."""
    value = recipe.table
    for key in path.split("."):
        value = next(e for e in value if e.get("name", e["use"]) == key) if isinstance(value, list) else value[key]
    return value


def test_every_method_has_its_profile():
    assert {name.removeprefix(PREFIX) for name in PROFILES} == set(harness.SHIPPED)


@pytest.mark.parametrize("name", PROFILES)
def test_it_is_the_method_with_what_the_papers_share(name):
    recipe, method = load(name), name.removeprefix(PREFIX)
    data, optimizer = recipe.table["data"], recipe.table["optimizer"]
    labels = 1_500 if method in LONG_TAILED else 25
    assert (data["use"], data["labels_per_class"], data["classes"]) == ("image_folder", labels, 10)
    assert [data[key] for key in ("unlabeled_per_class", "gamma_l", "gamma_u")] == (
        [3_000, 100, 100] if method in LONG_TAILED else [0, 1, 1]
    )
    assert "unlabeled" not in data and (data["labeled"], data["test"]) == ("train", "test")
    assert recipe.table["model"]["use"] == "wide_resnet" and recipe.table["model"]["size"] == 32
    assert (optimizer["name"], optimizer["momentum"], optimizer["weight_decay"]) == ("sgd", 0.9, 5e-4)
    assert optimizer["options"] == {"nesterov": True}
    assert optimizer["rate"] == SETTINGS.get(method, {}).get("optimizer.rate", 0.03)
    steps = [cfg.settings.steps for cfg in recipe.generations]
    assert steps == OWN_STEPS.get(method, steps)
    assert method in OWN_STEPS or sum(steps) == 2 ** (18 if method in LONG_TAILED else 20)
    batch = recipe.settings.batch
    assert (batch.labeled, batch.unlabeled) == OWN_BATCH.get(method, (64, 64 if method in MU_1 else 448))
    average = [e.plugin for e in recipe.generations[0].entries() if e.use == "moving_average"]
    assert [(one.decay, one.buffers) for one in average] == [(OWN_AVERAGE.get(method, 0.999), "copy")]
    assert recipe.warnings == [] and not recipe.settings.baseline


@pytest.mark.parametrize("name", PROFILES)
def test_the_pool_has_the_labeled_images_but_where_they_could_be_promoted(name):
    assert load(name).table["data"]["include_labeled"] is not name.startswith("cifar10/crest")


@pytest.mark.parametrize("name", PROFILES)
def test_its_numbers_are_the_papers(name):
    recipe = load(name)
    expected = SETTINGS.get(name.removeprefix(PREFIX), {})
    assert {path: said(recipe, path) for path in expected} == expected


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_of_the_digits_is_left(name):
    """Flips, pixels and grey values of 24-pixel digits; and the plugins are those of the method, in its order."""
    recipe, digits = load(name), load(name.removeprefix(PREFIX))
    for cfg in recipe.generations:
        for entry in cfg.entries():
            if entry.use == "flip_crop":
                assert (entry.plugin.flip, entry.plugin.pad) == (0.5, 4)
            if entry.use == "randaugment" and entry.name == "randaugment":
                one = entry.plugin
                assert (one.pool, one.fill, one.cutout_fill, one.translate_max, one.cutout_max) == (
                    "fixmatch",
                    0,
                    127,
                    9.6,
                    8,
                )
                assert one.interpolation == "nearest" and one.magnitude == 10
    sections = ("labeler", "loss", "step")
    last = [
        [(e.name, e.on) for e in one.generations[-1].entries() if e.section in sections] for one in (recipe, digits)
    ]
    added = [("moving_average", ())] if name.removeprefix(PREFIX) in NOT_AVERAGED else []
    assert sorted(last[0]) == sorted(last[1] + added)
    assert recipe.generations[-1].passes == digits.generations[-1].passes


@pytest.mark.parametrize("name", PROFILES)
def test_it_takes_a_step(name, pictures):
    """Every generation of it: losses are finite, and rows go through the models as on digits."""
    recipe = tiny(name, pictures)
    for index in range(len(recipe.generations)):
        bench = Bench(recipe, index)
        found = []
        for role, network in rows.networks(bench.state).items():
            rows.watch(network, role, found)
        found.append(rows.Rows())
        (terms,) = bench.train(1)
        assert terms and all(torch.isfinite(term.value) for term in terms)
        expected = PASSES[name.removeprefix(PREFIX)]
        expected = expected[index] if isinstance(expected, list) else expected
        assert found[0].forward == {role: rows.value(text, 6, 6) for role, text in expected.items()}


@pytest.mark.parametrize(
    "name", [n if n in ("cifar10/fixmatch",) else pytest.param(n, marks=pytest.mark.torture) for n in PROFILES]
)
def test_it_runs_to_its_end(name, pictures, tmp_path):
    summary = sslkit.run(tiny(name, pictures), out=tmp_path / "run", device="cpu").summary
    assert summary["status"] == "finished" and 0 <= summary["generations"][-1]["test_accuracy"] <= 1


def test_the_network_is_wrn_28_2():
    """As FixMatch's authors count it, with the ten classes of CIFAR-10."""
    recipe = load("cifar10/fixmatch")
    (cfg,) = recipe.generations
    facts = facts_of(cfg, open_data(load("fixmatch")), torch.device("cpu"))
    network = build_network(cfg, plugins_of(cfg), facts)
    assert sum(p.numel() for p in network.parameters()) == 1_467_610 and network.image_size == 32


def test_without_its_images_a_profile_says_so(tmp_path):
    with pytest.raises(MissingData, match="cifar10"):
        open_data(load("cifar10/fixmatch", {"data.root": str(tmp_path / "cifar10")}))


def test_settings_are_no_recipe():
    assert not [name for name in shipped() if name.startswith("settings")]
    with pytest.raises(RecipeError, match="no plugin implements `loss`"):
        load("settings/cifar10")
