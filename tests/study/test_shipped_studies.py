"""The studies that are shipped, one for each finding of the paper: what they compare, and that every row of them runs."""

from dataclasses import replace

import pytest

from sslkit import runs
from sslkit.recipe import with_overrides
from sslkit.recipe.metrics import metric_set
from sslkit.study.children import plan
from sslkit.study.file import load_study, shipped_studies

FINDINGS = (
    "noise", "iterations", "teacher_size", "student_size", "unlabeled_amount", "soft_or_hard", "class_balance",
    "joint_or_finetune", "batch_ratio", "from_scratch", "robustness",
)  # fmt: skip
TINY = {
    "steps": 2,
    "batch.labeled": 8,
    "model.size": 8,
    "data.test": 100,
    "data.validation": 20,
    "labeler.confidence.threshold": 0.0,  # after two steps nobody is sure of anything
}


def tiny(recipe):
    """A recipe that differs from others where it did, in two steps on few pixels."""
    known = {entry.name for entry in recipe.generations[-1].entries()}
    return with_overrides(
        recipe, {k: v for k, v in TINY.items() if k.split(".")[0] != "labeler" or "confidence" in known}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`trained(name)`: the tiny study, and the summary of each of its rows; runs that studies share are made once."""
    done = {}

    def of(name):
        study = load_study(name, seeds=[200])
        study = replace(study, variants=tuple(replace(one, recipe=tiny(one.recipe)) for one in study.variants))
        found = {}
        for child in plan(study, tmp_path_factory.getbasetemp() / "studies" / name):
            digest = child.recipe.hash
            if digest not in done:
                done[digest] = runs.run(child.recipe, out=tmp_path_factory.mktemp("runs") / digest).folder
            found |= {variant: done[digest] for variant, _ in child.uses}
        return study, found

    return of


def rows(name):
    return {variant.name: variant for variant in load_study(name).variants}


def noise_of(recipe, number):
    return {entry.name: entry.on for entry in recipe.generations[number].entries() if entry.section == "noise"}


def settings(variant, number=-1):
    return variant.recipe.generations[number].settings


# What they say ------------------------------------------------------------------------------------------------------------


def test_there_is_a_study_for_each_finding():
    assert set(FINDINGS) < set(shipped_studies())


@pytest.mark.parametrize("name", FINDINGS)
def test_a_study_of_a_finding_says_what_is_claimed_and_where(name):
    study = load_study(name)
    assert study.finding.endswith(".") and "1911.04252" in study.source
    assert study.seeds == (0, 1, 2, 3, 4)
    assert any(variant.expect for variant in study.variants)
    assert not any(variant.recipe.warnings for variant in study.variants)
    assert f"sslkit study {name}\n" in shipped_studies()[name].read_text()


def test_studies_share_the_base_its_baseline_and_further_runs():
    children = {name: plan(load_study(name, seeds=[3]), shipped_studies()[name]) for name in FINDINGS}
    digests = {name: {child.recipe.hash for child in found} for name, found in children.items()}
    base, labels = (
        next(c.recipe.hash for c in children["noise"] if (n, 3) in c.uses) for n in ("full noise", "labels alone")
    )
    alone = {
        "iterations",
        "class_balance",
        "batch_ratio",
    }  # whose base is another: longer, imbalanced, of smaller batches
    assert {name for name in FINDINGS if base not in digests[name]} == alone
    assert {name for name in FINDINGS if labels not in digests[name]} == {"iterations", "class_balance"}
    assert digests["robustness"] < digests["noise"]
    assert len(digests["teacher_size"] & digests["student_size"]) >= 2 + 1
    assert len(set.union(*digests.values())) == 41  # runs for each seed


def test_every_difference_of_the_paper_points_where_it_is_expected():
    for name in FINDINGS:
        for variant in load_study(name).variants:
            for measure, points in variant.paper.items():
                sign = {"lower": -1, "higher": 1, None: 0}[variant.expect.get(measure)]
                assert sign * points > 0 or (not sign and abs(points) < 0.2), (name, variant.name)


def test_robustness_is_measured_by_what_its_set_of_metrics_measures():
    from sslkit.recipe.message import Problems

    study = load_study("robustness")
    assert metric_set(study.metrics, Problems())
    assert {variant.generation for variant in study.variants} == {None, 0}


# What they compare ------------------------------------------------------------------------------------------------------------


def test_noise_is_taken_from_unlabeled_images_alone_and_teachers_stay():
    there = rows("noise")
    bare = there["and without augmentation, stochastic depth and dropout"].recipe
    split = there["unlabeled images in a pass of their own"].recipe
    full = noise_of(there["full noise"].recipe, 1)
    assert full["randaugment"] == ("labeled", "unlabeled")
    for one in (bare, split, there["unlabeled images without augmentation"].recipe):
        assert noise_of(one, 0) == full and one.generations[0].passes == []
    assert noise_of(bare, 1) == full | {"randaugment": ("labeled",)} and noise_of(split, 1) == full
    assert [(one.views, one.noise, one.write_stats) for one in bare.generations[1].passes] == [
        (["labeled"], None, False), (["unlabeled"], False, None),
    ]  # fmt: skip
    assert [(one.views, one.noise, one.write_stats) for one in split.generations[1].passes] == [
        (["labeled"], None, False), (["unlabeled"], None, None),
    ]  # fmt: skip
    noised = there["teacher noised while it labels"].recipe.generations[1]
    assert [(one.model, one.views, one.noise) for one in noised.passes] == [("teacher", ["unlabeled"], True)]
    assert {entry.name: entry.on for entry in noised.entries()}["soft_labels"] == ("unlabeled",)


def test_iterations_are_generations_of_one_run():
    study = load_study("iterations", seeds=[0])
    assert len(plan(study, shipped_studies()["iterations"])) == 2  # and labels alone
    assert [variant.generation for variant in study.variants] == [1, 0, 2, 3, 4, None]
    assert [variant.against for variant in study.variants[2:5]] == ["iteration 1", "iteration 2", "iteration 3"]
    assert {cfg.settings.steps for cfg in study.base.recipe.generations} == {200}


def test_sizes_of_teachers_and_students():
    def widths(study, row):
        wide = {None: "medium", 8: "small", 24: "large", 32: "large"}
        return [wide[cfg.model.options.get("stem_width")] for cfg in rows(study)[row].recipe.generations]

    for study in ("teacher_size", "student_size"):
        for row in rows(study):
            student, _, rest = row.partition(" student of a ")
            if rest:
                assert widths(study, row) == [rest.removesuffix(" teacher"), student]
    assert widths("teacher_size", "small, labels alone") == ["small"]


def test_bins_of_confidence_hold_every_image_that_the_base_keeps():
    there = rows("soft_or_hard")
    for form in ("soft", "hard"):
        bins = [variant for name, variant in there.items() if name.startswith(f"{form}, confidence")]
        found = [next(e.plugin for e in v.recipe.generations[1].entries() if e.name == "confidence") for v in bins]
        assert [(one.threshold, one.below) for one in found] == [(0.3, 0.7), (0.7, 0.9), (0.9, None)]
    for name, variant in there.items():
        assert ("hard_labels" in [e.name for e in variant.recipe.generations[-1].entries()]) == name.startswith("hard")


def test_larger_ratios_take_steps_as_large():
    for name, variant in rows("batch_ratio").items():
        if name != "supervised baseline":
            batch, mu = settings(variant).batch, int(name.removeprefix("mu = "))
            assert (batch.labeled, batch.unlabeled) == (16, 16 * mu)
            assert settings(variant, 0).batch.labeled == 32
            for entry in variant.recipe.generations[1].entries():
                if entry.section == "loss":
                    assert entry.plugin.weight * (1 + mu) == pytest.approx(2, abs=1e-3)


def test_fine_tuning_follows_pre_training_in_one_run():
    there = rows("joint_or_finetune")
    first, then = (there[name] for name in ("pre-trained on pseudo-labels", "pre-trained, then fine-tuned on labels"))
    assert first.recipe.hash == then.recipe.hash and (first.generation, then.generation) == (1, 2)
    losses = [[e.name for e in cfg.entries() if e.section == "loss"] for cfg in then.recipe.generations]
    assert losses[1:] == [["distillation"], ["supervised"]]
    assert [cfg.settings.init for cfg in then.recipe.generations] == ["scratch", "scratch", "previous"]


def test_students_from_scratch_and_from_their_teachers():
    for name, variant in rows("from_scratch").items():
        if name != "supervised baseline":
            assert settings(variant).steps == int(name.split()[-2])
            assert settings(variant).init == ("previous" if "teacher" in name else "scratch")


# That they run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINDINGS)
def test_every_row_of_a_study_runs_to_its_end(name, trained):
    study, found = trained(name)
    assert set(found) == {variant.name for variant in study.variants}
    for variant in study.variants:
        entries = runs.Run(found[variant.name]).summary["generations"]
        assert len(entries) == len(variant.recipe.generations)
        assert 0 <= entries[-1]["test_accuracy"] <= 1
