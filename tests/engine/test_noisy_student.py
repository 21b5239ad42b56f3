"""Noisy Student (Xie et al. 2020, Algorithm 1), and the paper's variations as changes of a line or two."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from driving import CPU, Bench, LossSpy, added, entry, equal_states, network_of, run
from torch.nn.functional import cross_entropy, softmax

from sslkit import Progress, hookimpl
from sslkit.artifacts import load_tree
from sslkit.errors import RecipeError
from sslkit.evaluation import make_classifier
from sslkit.measuring.evaluate import trained
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.streams import to_floats

MU = 2
RECIPE = """
labels = "pool"
steps = 2
batch = { labeled = 6, unlabeled = 12 }
[views.unlabeled]
stream = "unlabeled"
[[noise]]
use = "flip_crop"
pad = 2
on = ["labeled", "unlabeled"]
[[noise]]
use = "dropout"
rate = 0.5
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"
[[generation]]
[[generation]]
[[generation]]
"""
"Algorithm 1 without its filters."


class Watch:
    """Keeps what each generation saw: steps with their forward, events, evaluated networks."""

    def __init__(self):
        self.steps, self.networks = {}, {}

    @hookimpl
    def loss(self, step, forward):
        self.steps.setdefault(step.progress.generation, []).append((step, forward))
        return []

    @hookimpl
    def measure(self, model, progress):
        self.networks[progress.generation] = model.network
        return {}


def whole(images):
    """A split as the clean view shows it."""
    return to_floats(torch.from_numpy(np.stack(images.read(np.arange(len(images))))), CPU)


def unnoised(network, images):
    """Probabilities in evaluation mode, by torch alone."""
    network.eval()
    with torch.no_grad():
        return softmax(network(images).logits, 1)


def edited(tiny, recipe, *changes, **overrides):
    """The recipe with lines replaced or added: `(old, new)` pairs."""
    for old, new in changes:
        assert recipe.count(old) == 1, old
        recipe = recipe.replace(old, new)
    return tiny(recipe, overrides=overrides)


# Algorithm 1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", [False, True])
def test_algorithm_1(tiny, tmp_path, average):
    kept = '[[labeler]]\nuse = "moving_average"\ndecay = 0.5\nwarmup = false\n'
    watch = Watch()
    done = run(added(tiny(RECIPE + kept * average), entry("loss", watch)), tmp_path)
    assert done.summary["status"] == "finished" and sorted(watch.steps) == [0, 1, 2]
    data = Bench(tiny(RECIPE)).data
    # The teacher learns from labels alone.
    assert all(step.unlabeled is None for step, _ in watch.steps[0])
    for generation in (1, 2):
        # The finished generation before teaches un-noised, by its average where one is kept; labels are soft.
        teacher = watch.networks[generation - 1]
        assert equal_states(done.model(generation - 1), teacher)
        stored = done.labels(generation)
        assert torch.allclose(stored.raw, unnoised(teacher, whole(data.unlabeled)), atol=1e-6)
        assert torch.equal(stored.raw, stored.probs) and stored.kept.all()
        # Its student learns from labels and pseudo-labels together, in the ratio mu.
        for step, forward in watch.steps[generation]:
            assert len(step.labeled.index) * MU == len(step.unlabeled.index)
            assert torch.equal(step.unlabeled.targets.probs, stored.probs[step.unlabeled.index])
            assert forward("labeled").logits.requires_grad and forward("unlabeled").logits.requires_grad
    assert not equal_states(watch.networks[1], watch.networks[2])


def test_the_average_teaches_and_not_the_student(tiny, tmp_path):
    text = RECIPE + '[[labeler]]\nuse = "moving_average"\ndecay = 0.9\nwarmup = false\n'
    recipe = added(tiny(text), entry("loss", watch := Watch()))
    done = run(recipe, tmp_path)
    state = done.checkpoints.newest()["state"]
    assert not torch.equal(state["student"]["model.fc.weight"], state["average"]["model.fc.weight"])
    assert torch.equal(done.model().model.fc.weight, state["average"]["model.fc.weight"])
    data = Bench(tiny(RECIPE)).data
    assert torch.allclose(done.labels(1).raw, unnoised(watch.networks[0], whole(data.unlabeled)), atol=1e-6)


def test_a_seed_decides_everything(tiny, tmp_path):
    ends = []
    for number, seed in enumerate((0, 0, 1)):
        done = run(tiny(RECIPE, overrides={"seed": seed}), tmp_path / str(number))
        ends.append((done.model().state_dict()["model.fc.weight"], done.labels(2).raw))
    assert all(torch.equal(one, other) for one, other in zip(ends[0], ends[1], strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(ends[0], ends[2], strict=True))


# Filters --------------------------------------------------------------------------------------------------------------

FILTERS = '[[labeler]]\nuse = "confidence"\nthreshold = {}\n[[labeler]]\nuse = "class_balance"\nper_class = {}\n'


def draws(bench, passes=8):
    """How often each row of the pool is drawn in some passes."""
    stored = bench.state.stored
    steps = int(stored.copies.sum().item() * passes / 12)
    counts = torch.zeros(len(stored.index))
    for arrays in bench.arrays(steps):
        counts += torch.bincount(arrays["unlabeled"]["index"], minlength=len(counts))
    return counts


def sure_teacher(recipe):
    """A previous network with opinions on the pool: some rows sure, some not, classes uneven."""
    network = network_of(recipe, seed=3).requires_grad_(False)
    network.set_mode(noise=False, batch_norm="running", write_stats=False)
    features = network(whole(open_data(recipe).unlabeled)).features
    torch.manual_seed(4)
    directions = torch.randn(10, features.shape[1])
    scores = features @ directions.T
    scale = 2 / scores.std(0)
    classifier = network.model.fc
    classifier.weight.copy_(directions * scale[:, None])
    classifier.bias.copy_(torch.linspace(0, 1.5, 10) - scores.mean(0) * scale)
    return network


def test_without_filters_every_row_is_drawn_equally_often(tiny):
    recipe = tiny(RECIPE)
    counts = draws(Bench(recipe, 1, sure_teacher(recipe)))
    assert counts.min() >= 7 and counts.max() <= 8


def test_filtered_rows_are_never_drawn(tiny):
    recipe = tiny(RECIPE + FILTERS.split('[[labeler]]\nuse = "class_balance"')[0].format(0.5))
    bench = Bench(recipe, 1, sure_teacher(recipe))
    stored, counts = bench.state.stored, draws(bench)
    sure = stored.raw.max(1).values >= 0.5
    assert 0 < sure.sum() < len(sure) and torch.equal(stored.kept, sure)
    assert not counts[~sure].any() and counts[sure].min() >= 1
    for step in bench.steps(2):
        batch = step.unlabeled
        targets = stored.rows(batch.index)
        assert targets.kept.all()


def test_balance_draws_every_class_equally_often(tiny):
    recipe = tiny(RECIPE + FILTERS.format(0.3, 12))
    bench = Bench(recipe, 1, sure_teacher(recipe))
    stored, counts = bench.state.stored, draws(bench)
    label = stored.raw.argmax(1)
    there = label[stored.raw.max(1).values >= 0.3].unique()
    per_class = torch.tensor([counts[label == k].sum() for k in there])
    assert len(there) >= 4 and (per_class - per_class.mean()).abs().max() <= 0.12 * per_class.mean()
    copies = stored.copies[stored.copies > 0]
    assert (copies < 1).any() or (copies > 1).any()  # thinned or repeated
    for k in there:
        rows = label == k
        used, left = stored.confidence[rows & stored.kept], stored.confidence[rows & ~stored.kept]
        assert not len(left) or used.min() >= left.max() - 0.01  # the surest, on a grid of 0.01


def test_when_nothing_is_sure_labels_teach_alone(tiny, tmp_path):
    events = []

    class Hear:
        @hookimpl
        def report(self, event):
            events.append(event)

    recipe = tiny(RECIPE + FILTERS.split('[[labeler]]\nuse = "class_balance"')[0].format(1.0))
    done = run(added(recipe, entry("tracker", Hear()), entry("loss", watch := Watch())), tmp_path)
    assert done.summary["status"] == "finished"
    assert all(step.unlabeled is None for step, _ in watch.steps[1])
    said = [e.values for e in events if e.kind == "labels" and "kept_share" in e.values]
    assert [one["kept_share"] for one in said] == [0.0, 0.0] and said[0]["empty_classes"] == list("0123456789")


# Students -------------------------------------------------------------------------------------------------------------


def test_a_student_starts_from_scratch_or_from_its_teacher(tiny):
    recipe = tiny(RECIPE)
    teacher = sure_teacher(recipe)
    scratch = Bench(recipe, 1, teacher).state
    assert not torch.equal(scratch.student.model.fc.weight, teacher.model.fc.weight)
    again = Bench(recipe, 2, teacher).state  # generations draw their weights apart
    assert not torch.equal(scratch.student.model.fc.weight, again.student.model.fc.weight)
    previous = Bench(tiny(RECIPE, overrides={"init": "previous"}), 1, teacher).state
    assert equal_states(previous.student, teacher) and not previous.optimizer.state
    assert all(p.requires_grad for p in previous.student.parameters())


def test_init_continue_takes_student_average_and_optimizer_along(tiny, tmp_path):
    text = RECIPE + '[[labeler]]\nuse = "moving_average"\nwarmup = false\n'
    first = {}

    class Look:
        @hookimpl
        def train_step(self, step, forward, state):
            if step.progress.step == 0:
                momentum = state.tree()["optimizer"]["state"]
                first[step.progress.generation] = (
                    {n: t.clone() for n, t in state.student.state_dict().items()},
                    {n: t.clone() for n, t in state.average.state_dict().items()},
                    {n: v["momentum_buffer"].clone() for n, v in momentum.items()},
                )
            terms = state.losses(step, forward)
            state.optimize(terms)
            last[step.progress.generation] = state
            return terms

    last = {}
    run(added(tiny(text, overrides={"init": "continue"}), entry("step", Look())), tmp_path)
    for generation in (1, 2):
        student, average, momentum = first[generation]
        before = last[generation - 1]
        assert all(torch.equal(tensor, before.student.state_dict()[name]) for name, tensor in student.items())
        assert all(torch.equal(tensor, before.average.state_dict()[name]) for name, tensor in average.items())
        kept = before.tree()["optimizer"]["state"]
        assert momentum and all(torch.equal(m, kept[name]["momentum_buffer"]) for name, m in momentum.items())
    assert not first[0][2]


@dataclass(eq=False)
class First:
    """Keeps each generation's state at its first step, before anything moves."""

    seen: dict

    @hookimpl
    def train_step(self, step, forward, state):
        if step.progress.step == 0:
            weights = {n: t.clone() for n, t in (state.average or state.student).state_dict().items()}
            groups = [{k: v for k, v in group.items() if k != "params"} for group in state.optimizer.param_groups]
            self.seen[step.progress.generation] = (weights, groups, dict(state.tree()["optimizer"]["state"]))
        terms = state.losses(step, forward)
        state.optimize(terms)
        return terms


def continued(tiny, tmp_path, *lines):
    """What two generations begin with, the second going on from the first but for these lines."""
    seen = {}
    text = RECIPE.replace("[[generation]]\n" * 3, '[[generation]]\n[[generation]]\ninit = "continue"\n')
    recipe = added(tiny("\n".join([text, *lines])), entry("step", First(seen)))
    return run(recipe, tmp_path), seen


def test_a_continued_generation_may_change_the_optimizers_numbers(tiny, tmp_path):
    lines = ["optimizer.weight_decay = 0.25", "optimizer.momentum = 0.5", "optimizer.rate = 0.02"]
    _, seen = continued(tiny, tmp_path, *lines)
    assert {(g["weight_decay"], g["momentum"], g["lr"]) for g in seen[0][1]} == {(0.0, 0.9, 0.05)}
    assert {(g["weight_decay"], g["momentum"], g["lr"]) for g in seen[1][1]} == {(0.0, 0.5, 0.02), (0.25, 0.5, 0.02)}
    assert seen[1][2] and not seen[0][2]  # momentum goes on


def test_an_average_that_a_continued_generation_adds_starts_from_its_weights(tiny, tmp_path):
    done, seen = continued(tiny, tmp_path, "[[generation.labeler]]", 'use = "moving_average"')
    before = load_tree(done.folder / "models/generation-0", "model")["student"]
    assert all(torch.equal(seen[1][0][name], tensor) for name, tensor in before.items())


def test_a_head_that_a_continued_generation_adds_is_refused(tiny, tmp_path):
    class Head:
        @hookimpl
        def extend_model(self, student):
            return {"extra": torch.nn.Linear(96, 2)}

    recipe = tiny(RECIPE, overrides={"init": "continue"})
    added_later = recipe.generations[1]
    made = added_later.entries
    added_later.entries = lambda: [*made(), entry("loss", Head())]
    with pytest.raises(RecipeError, match=r'^init = "continue": the previous generation\'s model does not fit'):
        run(recipe, tmp_path)


def test_a_bigger_student_in_the_next_generation(tiny, tmp_path):
    head, tail = RECIPE.rsplit("[[generation]]", 1)
    watch = Watch()
    done = run(added(tiny(head + '[[generation]]\nmodel.name = "test_resnet"\nmodel.options = { stem_width = 48 }' + tail),
                     entry("loss", watch)), tmp_path)  # fmt: skip
    size = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert size(watch.networks[2]) > size(watch.networks[1]) == size(watch.networks[0])
    assert equal_states(done.model(2), watch.networks[2])
    with pytest.raises(RecipeError, match=r"previous"):
        tiny(head + '[[generation]]\ninit = "previous"\nmodel.options = { stem_width = 48 }' + tail)


def test_a_previous_model_that_does_not_fit_is_refused(tiny):
    recipe = tiny(RECIPE, overrides={"init": "previous"})
    bigger = network_of(tiny("[model]\noptions = { stem_width = 48 }"))
    with pytest.raises(
        RecipeError, match=r'^init = "previous": the previous generation\'s model does not fit this one'
    ):
        Bench(recipe, 1, bigger)


def test_another_model_in_the_next_generation(tiny, tmp_path):
    head, tail = RECIPE.rsplit("[[generation]]", 1)
    done = run(tiny(head + '[[generation]]\nmodel.name = "test_efficientnet"' + tail), tmp_path)
    assert [g["model"] for g in done.summary["generations"]] == ["test_resnet", "test_resnet", "test_efficientnet"]
    assert type(done.model(2).model).__name__ == "EfficientNet"


# The loss -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighting, factor", [("plain", 1), ("batch_ratio", MU)])
def test_joint_batches_and_the_weighting_of_the_pseudo_labels(tiny, weighting, factor):
    """The official code's CE_L + mu * CE_U, or the plain sum; soft cross-entropy in both."""
    seen = []
    recipe = edited(tiny, RECIPE, ('on = "unlabeled"\n', f'on = "unlabeled"\nweighting = "{weighting}"\n'))
    bench = Bench(added(recipe, entry("loss", LossSpy(lambda *both: seen.append(both)))), 1, sure_teacher(recipe))
    for terms in bench.train(2):
        step, forward = seen.pop(0)
        soft = bench.state.stored.raw[step.unlabeled.index]
        by_hand = -(soft * forward("unlabeled").logits.log_softmax(1)).sum(1).mean() * factor
        labels = cross_entropy(forward("labeled").logits, step.labeled.truth)
        assert [term.name for term in terms] == ["supervised", "distillation"]
        assert torch.allclose(terms[0].value, labels) and torch.allclose(terms[1].value, by_hand)
        assert terms[0].weight == terms[1].weight == 1.0


# Variations -----------------------------------------------------------------------------------------------------------


def passes_of(network):
    """Batches through a network, with whether its dropout was on."""
    log = []
    network.register_forward_hook(
        lambda module, arguments, _: log.append((arguments[0].clone(), module.model.training))
    )
    return log


def test_base_student_gets_noised_images_and_noise_of_its_model(tiny):
    recipe = tiny(RECIPE)
    bench = Bench(recipe, 1, sure_teacher(recipe))
    log = passes_of(bench.state.student)
    (step,) = bench.steps(1)
    assert not same_as_clean(bench, step.labeled) and not same_as_clean(bench, step.unlabeled)
    forward = bench.state.forward(step)
    forward("labeled")
    assert [(len(images), noise) for images, noise in log] == [(18, True)]


def same_as_clean(bench, batch):
    """Whether a stream's view shows its images as they are."""
    source = getattr(bench.data, batch.stream)
    (view,) = batch.views.values()
    return torch.equal(view.images, whole(source)[batch.index])


def test_no_augmentation_on_unlabeled_images_only(tiny):
    recipe = edited(tiny, RECIPE, ('on = ["labeled", "unlabeled"]', 'on = "labeled"'))
    bench = Bench(recipe, 1, sure_teacher(recipe))
    (step,) = bench.steps(1)
    assert not same_as_clean(bench, step.labeled) and same_as_clean(bench, step.unlabeled)


def test_no_model_noise_on_unlabeled_images_only(tiny):
    passes = '[[pass]]\nviews = ["labeled"]\n[[pass]]\nviews = ["unlabeled"]\nnoise = false\n'
    recipe = tiny(RECIPE + passes)
    bench = Bench(recipe, 1, sure_teacher(recipe))
    log = passes_of(bench.state.student)
    bench.state.student.model.fc.weight.data.normal_()
    (step,) = bench.steps(1)
    twice = [bench.state.forward(step) for _ in range(2)]
    one, other = ({name: forward(name).logits for name in ("labeled", "unlabeled")} for forward in twice)
    assert [(len(images), noise) for images, noise in log] == [(6, True), (12, False)] * 2
    step.progress = Progress(99, 1, 7, 9)  # other keys
    third = bench.state.forward(step)
    assert torch.equal(third("unlabeled").logits, other["unlabeled"])
    assert not torch.equal(third("labeled").logits, other["labeled"]) and torch.equal(one["labeled"], other["labeled"])


def test_a_noised_teacher_when_labeling(tiny):
    base = tiny(RECIPE)
    teacher = sure_teacher(base)
    clean = Bench(base, 1, teacher).state.stored.raw
    assert torch.allclose(clean, unnoised(teacher, whole(Bench(base).data.unlabeled)), atol=1e-6)
    recipe = tiny(RECIPE + '[[pass]]\nmodel = "teacher"\nviews = ["clean"]\nnoise = true\n')
    log = passes_of(teacher)
    bench = Bench(recipe, 1, teacher)
    assert all(noise for _, noise in log) and sum(len(images) for images, _ in log) == len(bench.data.unlabeled)
    assert not torch.allclose(bench.state.stored.raw, clean, atol=1e-2)
    assert torch.equal(Bench(recipe, 1, teacher).state.stored.raw, bench.state.stored.raw)  # noised, but keyed


def test_a_teacher_that_labels_augmented_images(tiny):
    recipe = edited(tiny, RECIPE, ('use = "soft_labels"', 'use = "soft_labels"\non = "unlabeled"'))
    teacher = sure_teacher(recipe)
    log = passes_of(teacher)
    bench = Bench(recipe, 1, teacher)
    images = torch.cat([images for images, _ in log])
    assert len(images) == len(bench.data.unlabeled) and not any(noise for _, noise in log)
    assert not torch.equal(images, whole(bench.data.unlabeled))


def test_hard_labels(tiny):
    recipe = tiny(RECIPE + '[[labeler]]\nuse = "hard_labels"\n')
    bench = Bench(recipe, 1, sure_teacher(recipe))
    stored = bench.state.stored
    assert torch.equal(stored.probs, torch.eye(10)[stored.raw.argmax(1)])
    assert stored.raw.max() < 1 and len(stored.raw.argmax(1).unique()) > 2
    for step, _ in bench.labeled_steps(1):
        assert torch.equal(step.unlabeled.targets.probs, stored.probs[step.unlabeled.index])


def test_the_shipped_recipe_is_all_of_it():
    recipe = load("noisy_student")
    first, last = recipe.generations[0], recipe.generations[-1]
    uses = [e.use for e in last.entries()]
    for use in (
        "randaugment",
        "dropout",
        "stochastic_depth",
        "previous_student",
        "soft_labels",
        "confidence",
        "class_balance",
    ):
        assert use in uses
    assert len(recipe.generations) == 4 and first.settings.labels == last.settings.labels == "pool"
    assert recipe.settings.baseline and last.settings.batch.unlabeled > last.settings.batch.labeled


# Resolution -----------------------------------------------------------------------------------------------------------


def seen_by(network):
    """Sides of the images that go through a network, in order."""
    sides = []
    network.register_forward_hook(lambda _, arguments, __: sides.append(arguments[0].shape[-1]))
    return sides


def test_a_teacher_labels_at_its_own_resolution(tiny):
    """The official code's `predict_label.py` crops to the teacher's size, whatever the student's is."""
    recipe = edited(tiny, RECIPE, ("[[generation]]\n" * 3, "[[generation]]\n[[generation]]\nmodel.size = 16\n"))
    teacher = network_of(recipe, 0)
    sides = seen_by(teacher)
    bench = Bench(recipe, 1, teacher)
    assert set(sides) == {8}
    expected = unnoised(teacher, whole(bench.data.unlabeled))  # digits are 8 pixels wide: nothing is resized
    assert torch.allclose(bench.state.stored.raw, expected, atol=1e-6)
    sides = seen_by(bench.state.student)
    bench.train(1)
    assert sides == [16]


def test_a_teacher_at_each_step_gets_its_own_size_where_nobody_else_looks(tiny):
    changes = [
        ('labels = "pool"', 'labels = "step"'),
        ("[[generation]]\n" * 3, "[[generation]]\n[[generation]]\nmodel.size = 16\n"),
    ]
    recipe = edited(tiny, RECIPE, *changes)
    teacher = network_of(recipe, 0)
    bench = Bench(recipe, 1, teacher)
    sides, own = seen_by(teacher), seen_by(bench.state.student)
    bench.train(1)
    assert (sides, own) == ([8], [16])


def test_a_teacher_sees_as_much_of_an_image_as_its_model_names(tiny, tmp_path):
    """Labeling and evaluation: the centre, by the share of whoever looks; the student has a share of its own."""
    recipe = edited(tiny, RECIPE, ("[[generation]]\n" * 3, "[[generation]]\nmodel.crop = 0.5\n[[generation]]\n"))
    teacher = network_of(recipe, 0)
    bench = Bench(recipe, 1, teacher)
    images = bench.data.unlabeled.read(np.arange(len(bench.data.unlabeled)))
    centres = np.stack([cv2.resize(image[2:6, 2:6], (8, 8)) for image in images])
    expected = unnoised(teacher, to_floats(torch.from_numpy(centres), CPU))
    assert torch.allclose(bench.state.stored.raw, expected, atol=1e-6)
    shares = [make_classifier(one.state, one.session).view.spec.crop for one in (Bench(recipe, 0), bench)]
    assert shares == [0.5, 1.0] and bench.state.views()[0].crop == 1.0
    done = run(recipe, tmp_path)
    assert [trained(done, recipe, cfg, CPU, 3).view.spec.crop for cfg in recipe.generations] == [0.5, 1.0]
