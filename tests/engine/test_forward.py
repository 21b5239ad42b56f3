"""Passes: which views share a batch, how normalisation and noise behave, what is cached, who gets a gradient."""

from copy import deepcopy

import pytest
import torch
from driving import CPU, Bench, LossSpy, added, entry, network_of, rows_through

from sslkit import Batch, Progress, Step, View
from sslkit.forward import Forward, LabelForward, Models
from sslkit.passes import completed, plan_passes
from sslkit.recipe.model import PassTable

STATS = ("running_mean", "running_var", "num_batches_tracked")


def statistics(network):
    return {name: value.clone() for name, value in network.named_buffers() if name.endswith(STATS)}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def a_step(rows=4, hidden=("weak", "strong"), size=16):
    torch.manual_seed(1)
    view = lambda name: View(name, torch.rand(rows, 3, size, size))  # noqa: E731
    labeled = Batch("labeled", torch.arange(rows), torch.arange(rows), {"labeled": view("labeled")})
    unlabeled = Batch("unlabeled", torch.arange(rows), torch.arange(rows), {name: view(name) for name in hidden})
    return Step(labeled, unlabeled, Progress(5, 1, 3, 10))


def forward_of(models, plan=(), asked=(), step=None, precision="float32"):
    return Forward(models, plan_passes(list(plan), list(asked)), step or a_step(), CPU, precision, "step")


@pytest.fixture
def resnet(tiny):
    return network_of(tiny("[model]\nsize = 16"))


@pytest.fixture
def dropping(tiny):
    """An EfficientNet that drops classifier inputs (by a function, not a module) and whole blocks."""
    text = '[model]\nname = "test_efficientnet"\nsize = 16\n[[noise]]\nuse = "dropout"\n[[noise]]\nuse = "stochastic_depth"\nsurvival = 0.2'
    return network_of(tiny(text))


# Which views share a batch --------------------------------------------------------------------------------------------


def test_without_passes_the_views_that_losses_ask_for_go_through_together(resnet):
    rows = []
    rows_through(resnet, rows)
    forward = forward_of(Models(resnet), asked=["labeled", "strong"])
    forward("strong")
    assert rows == [8]
    forward("labeled")
    assert rows == [8]
    forward("weak")  # nobody announced it: by itself
    assert rows == [8, 4]


def test_passes_say_which_views_share_a_batch(resnet):
    rows, step = [], a_step()
    rows_through(resnet, rows)
    plan = [PassTable(views=["strong", "labeled"]), PassTable(views=["weak"])]
    forward = forward_of(Models(resnet), plan, ["labeled", "weak", "strong"], step)
    answers = {name: forward(name).logits for name in ("weak", "labeled", "strong")}
    assert rows == [4, 8]
    fresh = deepcopy(resnet)
    fresh.set_mode(noise=False, batch_norm="batch", write_stats=False)
    images = [step.batch_of(name).views[name].images for name in ("strong", "labeled")]
    together = fresh(torch.cat(images)).logits  # in the pass's order
    assert torch.allclose(together[:4], answers["strong"], atol=1e-6)
    assert torch.allclose(together[4:], answers["labeled"], atol=1e-6)
    assert not torch.allclose(fresh(images[1]).logits, answers["labeled"], atol=1e-3)  # apart, statistics differ


def test_a_pass_leaves_out_views_of_a_stream_that_is_off(resnet):
    rows, step = [], a_step()
    rows_through(resnet, rows)
    step.unlabeled = None
    forward_of(Models(resnet), [PassTable(views=["labeled", "strong"])], [], step)("labeled")
    assert rows == [4]


# Normalisation --------------------------------------------------------------------------------------------------------


def test_a_students_usual_way_is_batch_statistics_which_it_writes(resnet):
    before = statistics(resnet)
    forward_of(Models(resnet), asked=["labeled"])("labeled")
    after = statistics(resnet)
    assert not any(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("network", ["resnet", "dropping"])
@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_without_write_stats_running_statistics_stay_bit_equal(network, batch_norm, request):
    network = request.getfixturevalue(network)
    before = statistics(network)
    plan = [PassTable(views=["labeled"], batch_norm=batch_norm, write_stats=False)]
    forward_of(Models(network), plan)("labeled")
    assert before and same(before, statistics(network))
    forward_of(Models(network), [PassTable(views=["labeled"])])("labeled")  # and the next pass writes them again
    assert not same(before, statistics(network))


def test_running_statistics_make_rows_independent(resnet):
    forward_of(Models(resnet), asked=["labeled"])("labeled")  # statistics that are not those of a fresh network
    step = a_step()
    plan = [PassTable(views=["labeled", "strong"], batch_norm="running"), PassTable(views=["weak"])]
    forward = forward_of(Models(resnet), plan, step=step)
    resnet.eval()
    alone = resnet(step.labeled.views["labeled"].images[:1]).logits
    assert torch.allclose(forward("labeled").logits[:1], alone, atol=1e-5)


def test_what_a_pass_leaves_open_is_the_models_usual_way():
    assert vars(completed(PassTable(views=["a"]))) == {
        "model": "student", "views": ["a"], "batch_norm": "batch", "write_stats": True, "noise": True,
    }  # fmt: skip
    for model in ("teacher", "average"):
        assert vars(completed(PassTable(model=model, views=["a"]))) == {
            "model": model, "views": ["a"], "batch_norm": "running", "write_stats": False, "noise": False,
        }  # fmt: skip
    assert completed(PassTable(model="teacher", views=["a"], batch_norm="batch")).write_stats is False
    assert completed(PassTable(views=["a"], batch_norm="running")).write_stats is False
    assert completed(PassTable(model="teacher", views=["a"], batch_norm="batch", write_stats=True)).write_stats is True


# Noise ----------------------------------------------------------------------------------------------------------------


def answers(network, noise, steps=(3, 3), batch_norm=None):
    """Logits of one view at several steps' keys."""
    found = []
    for number in steps:
        step = a_step()
        step.progress = Progress(5, 1, number, 10)
        plan = [PassTable(views=["labeled"], noise=noise, batch_norm=batch_norm, write_stats=False)]
        torch.rand(3 + len(found))  # what was drawn before decides nothing
        found.append(forward_of(Models(network), plan, step=step)("labeled").logits)
    return found


def test_noise_off_is_deterministic_while_normalising_by_the_batch(dropping):
    dropping.model.classifier.weight.data.normal_()
    first, second = answers(dropping, False, (3, 4))
    assert torch.equal(first, second)
    dropping.eval()
    assert not torch.allclose(first, dropping(a_step().labeled.views["labeled"].images).logits, atol=1e-3)
    with_noise = answers(dropping, True, (3, 4))
    assert not torch.allclose(*with_noise, atol=1e-3) and not torch.allclose(first, with_noise[0], atol=1e-3)


def test_noise_is_keyed_by_step_and_pass(dropping):
    first, again, later = answers(dropping, True, (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, later)
    step = a_step()
    step.unlabeled.views["strong"] = View("strong", step.labeled.views["labeled"].images)
    plan = [PassTable(views=[name], write_stats=False) for name in ("labeled", "strong")]
    forward = forward_of(Models(dropping), plan, step=step)
    assert not torch.equal(forward("labeled").logits, forward("strong").logits)  # each pass has a key of its own


def test_noise_with_running_statistics_is_noise_all_the_same(dropping):
    assert not torch.allclose(*answers(dropping, True, (3, 4), "running"), atol=1e-3)


# Caching --------------------------------------------------------------------------------------------------------------


def test_a_pass_runs_once_and_a_replaced_view_alone(resnet):
    rows, step = [], a_step()
    rows_through(resnet, rows)
    forward = forward_of(Models(resnet), [PassTable(views=["labeled", "weak", "strong"])], step=step)
    first = forward("weak")
    assert forward("weak") is first and forward(step.unlabeled.views["weak"]) is first and rows == [12]
    mixed = View("strong", step.unlabeled.views["strong"].images / 2)
    forward.step = step.with_views(mixed)
    assert forward("labeled") is not None and rows == [12]
    changed = forward("strong")
    assert rows == [12, 4] and forward(mixed) is changed
    perturbed = View("strong", mixed.images + 0.1)
    assert forward(perturbed) is not changed and forward(perturbed) is forward(perturbed) and rows == [12, 4, 4]


def test_no_view_or_no_model_is_said(resnet):
    forward = forward_of(Models(resnet))
    with pytest.raises(KeyError, match="nowhere"):
        forward("nowhere")
    for role in ("teacher", "average"):
        with pytest.raises(LookupError, match=f"no {role} to ask"):
            forward("labeled", role)


# Who answers ----------------------------------------------------------------------------------------------------------


def logits_alone(network, images):
    network = deepcopy(network)
    network.eval()
    with torch.no_grad():
        return network(images).logits


def test_a_teacher_that_is_the_student_answers_from_the_students_pass_detached(resnet):
    rows = []
    rows_through(resnet, rows)
    models = Models(resnet, teacher=resnet)
    forward = forward_of(models, [PassTable(views=["labeled", "weak", "strong"])])
    ask = LabelForward(forward, lambda outputs: outputs.logits, forward.step.unlabeled)
    said = ask("weak")
    assert not said.logits.requires_grad and not said.features.requires_grad
    answer = forward("weak")
    assert answer.logits.requires_grad and torch.equal(answer.logits, said.logits) and rows == [12]


def test_a_teacher_that_is_the_student_answers_unnoised_where_no_student_pass_has_the_view(resnet):
    step, models = a_step(), Models(resnet, teacher=resnet)
    before = statistics(resnet)
    forward = forward_of(models, asked=["labeled", "strong"], step=step)
    said = LabelForward(forward, lambda outputs: outputs.logits, forward.step.unlabeled)("weak").logits
    images = step.unlabeled.views["weak"].images
    assert torch.allclose(said, logits_alone(resnet, images), atol=1e-6) and same(before, statistics(resnet))
    learned = forward("weak").logits  # the same view asked of the student still gets its gradient, in its own way
    assert learned.requires_grad and not torch.allclose(learned, said, atol=1e-4)


def test_a_teachers_own_pass_beats_the_students(resnet):
    models = Models(resnet, teacher=resnet)
    plan = [PassTable(views=["weak"]), PassTable(model="teacher", views=["weak"])]
    step = a_step()
    forward = forward_of(models, plan, step=step)
    student, teacher = forward("weak"), forward("weak", "teacher")
    assert student.logits.requires_grad and not teacher.logits.requires_grad
    expected = logits_alone(resnet, step.unlabeled.views["weak"].images)
    assert torch.allclose(teacher.logits, expected, atol=1e-6) and not torch.allclose(
        student.logits, expected, atol=1e-4
    )


def test_average_and_teacher_answer_by_their_own_weights_without_gradient(tiny, resnet):
    recipe = tiny("[model]\nsize = 16")
    average, teacher = network_of(recipe, seed=7), network_of(recipe, seed=8)
    step = a_step()
    forward = forward_of(Models(resnet, average, teacher), asked=["labeled"], step=step)
    for role, network in (("average", average), ("teacher", teacher)):
        answer = forward("weak", role)
        assert not answer.logits.requires_grad
        assert torch.allclose(answer.logits, logits_alone(network, step.unlabeled.views["weak"].images), atol=1e-6)
    assert forward("weak").logits.requires_grad


def test_a_further_model_answers_with_its_gradient_as_students_run(tiny, resnet):
    """By its name; one that is called `teacher` goes through the teacher's passes where no labeler makes one."""
    other = network_of(tiny("[model]\nsize = 16"), seed=7)
    rows = []
    rows_through(other, rows)
    plan = [PassTable(model="teacher", views=["weak", "strong"], batch_norm="batch", write_stats=True, noise=True)]
    before = statistics(other)
    forward = forward_of(Models(resnet, trainables={"teacher": other, "critic": other}), plan)
    weak, strong = forward("weak", "teacher"), forward("strong", "teacher")
    assert rows == [8] and weak.logits.requires_grad and strong.logits.requires_grad
    assert not same(before, statistics(other))
    assert forward("weak", "critic").logits.requires_grad and rows == [8, 4]
    with pytest.raises(LookupError, match="no judge to ask"):
        forward("weak", "judge")


def test_a_labelers_teacher_comes_before_a_further_model_of_that_name(tiny, resnet):
    other = network_of(tiny("[model]\nsize = 16"), seed=7)
    forward = forward_of(Models(resnet, teacher=resnet, trainables={"teacher": other}))
    assert not forward("weak", "teacher").logits.requires_grad


def test_labels_are_made_by_the_teacher_unless_another_is_named(tiny, resnet):
    teacher = network_of(tiny("[model]\nsize = 16"), seed=8)
    forward = forward_of(Models(resnet, teacher=teacher))
    ask = LabelForward(forward, lambda outputs: outputs.logits * 2, forward.step.unlabeled)
    assert torch.equal(ask("weak").logits, forward("weak", "teacher").logits * 2)
    assert torch.equal(ask("weak", "student").logits, forward("weak").logits.detach() * 2)


# Precision ------------------------------------------------------------------------------------------------------------


def test_bfloat16_computes_short_and_answers_long(resnet):
    step = a_step()
    plan = [PassTable(views=["labeled"], batch_norm="running")]
    long = forward_of(Models(resnet), plan, step=step)("labeled")
    short = forward_of(Models(resnet), plan, step=step, precision="bfloat16")("labeled")
    assert short.logits.dtype == short.features.dtype == torch.float32
    assert not torch.equal(short.logits, long.logits)
    assert torch.allclose(short.features, long.features, atol=0.1 * long.features.abs().max().item())
    short.logits.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in resnet.parameters() if p.grad is not None)


def test_bfloat16_trains(tiny):
    (terms,) = Bench(tiny('precision = "bfloat16"')).train(1)
    assert terms[0].value.isfinite() and terms[0].value.dtype == torch.float32


# Rows of a step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, generation, student, others",
    [
        ("supervised", 0, [6], []),
        ("noisy_student", 1, [6 + 12], []),  # joint, and the pool was labeled before
        ("fixmatch", 0, [6 + 9 + 9], []),  # the student teaches from its own pass
        ("mean_teacher", 0, [6, 9], [9]),  # labeled images alone write statistics
    ],
)
def test_rows_through_each_model(shipped, name, generation, student, others):
    rows = {"supervised": 0, "noisy_student": 12}.get(name, 9)
    overrides = {"labeler.confidence.threshold": 0.0} if name == "noisy_student" else {}
    bench = Bench(shipped(name, {"batch.unlabeled": rows, **overrides}), generation)
    log = {"student": [], "others": []}
    rows_through(bench.state.student, log["student"])
    for other in {bench.state.average, *bench.state.teachers.values()} - {None, bench.state.student}:
        rows_through(other, log["others"])
    bench.train(2)
    assert log == {"student": student * 2, "others": others * 2}


def test_only_views_that_somebody_asks_for_are_made(shipped, tiny):
    made = lambda bench: {name for step in bench.arrays(1) for part in step.values() for name in part["views"]}  # noqa: E731
    assert made(Bench(shipped("fixmatch", {"batch.unlabeled": 8}))) == {"labeled", "weak", "strong"}
    assert made(Bench(shipped("mean_teacher", {"batch.unlabeled": 8}))) == {"labeled", "taught", "learned"}
    assert made(Bench(tiny('[views.idle]\nstream = "labeled"'))) == {"labeled"}


def test_losses_ask_by_role_within_a_real_step(shipped):
    seen = []
    recipe = added(shipped("mean_teacher", {"batch.unlabeled": 8}), entry("loss", LossSpy(lambda *a: seen.append(a))))
    bench = Bench(recipe)
    bench.train(2)
    _, forward = seen[-1]
    taught = forward("taught", "teacher").logits
    by_average = forward("taught", "average").logits
    assert not taught.requires_grad and not by_average.requires_grad
    assert not torch.allclose(taught, by_average, atol=1e-4)  # one by its batch, as the recipe's pass says, one usually


def test_each_stream_is_labeled_by_its_own_images_where_a_view_shows_both(tiny):
    """`clean` is a view of every stream: a labeler that asks for it by name means the batch that it labels."""
    text = """
labels = "step"
label_streams = ["labeled", "unlabeled"]
batch = { labeled = 6, unlabeled = 6 }
[[labeler]]
use = "current_student"
[[labeler]]
use = "soft_labels"
"""
    bench = Bench(tiny(text))
    step, _ = next(iter(bench.labeled_steps(1)))
    assert {view for batch in step.batches for view in batch.views} >= {"clean"}
    for batch in step.batches:
        expected = logits_alone(bench.state.student, batch.views["clean"].images).softmax(1)
        assert torch.allclose(batch.targets.raw, expected, atol=1e-6)
    assert not torch.allclose(step.labeled.targets.raw, step.unlabeled.targets.raw, atol=1e-4)
