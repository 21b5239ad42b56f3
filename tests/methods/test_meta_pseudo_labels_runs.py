"""Meta Pseudo Labels: the teacher learns, is saved, and comes back with its optimizer to the same bits."""

import harness
import pytest
import torch
from driving import Bench, equal_states
from rows import counted, formula, shrunk

from sslkit.recipe import load

SMALL = {**harness.SMALL, "batch": {"labeled": 8, "unlabeled": 8}, "step.threshold": 0.0, "data.test": 30}


@pytest.fixture
def bench():
    return Bench(load("meta_pseudo_labels", {**SMALL, "steps": 4, "generation.0.steps": 4}))


def test_both_learn_and_the_student_is_evaluated(bench):
    teacher, student = bench.state.trainables["teacher"], bench.state.student
    pair = [{name: p.detach().clone() for name, p in model.named_parameters()} for model in (teacher, student)]
    assert any(not torch.equal(pair[0][name], pair[1][name]) for name in pair[0])  # weights of its own from the start
    terms = bench.train(3)
    for model, before in zip((teacher, student), pair, strict=True):
        assert any(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert bench.state.evaluated is bench.state.average and not equal_states(bench.state.average, student)
    names = ["student", "teacher.labeled", "teacher.uda", "teacher.feedback"]
    assert all([term.name for term in step] == names for step in terms)
    assert all(term.value != 0 for term in terms[-1])
    assert [step[2].weight for step in terms] == pytest.approx([0, 8, 8])  # the ramp is a tenth of four steps


def test_measuring_the_student_leaves_its_statistics(bench):
    """Its running statistics come from the strong images alone."""
    (step,) = bench.steps(1)
    written = []
    norm = bench.state.student.model.bn1
    norm.register_forward_hook(lambda module, *_: written.append((module.training, module.track_running_stats)))
    bench.plugin("meta_pseudo_labels").train_step(step, bench.state.forward(step), bench.state)
    assert norm.num_batches_tracked == 1 and written == [(True, False), (True, True), (True, False)]


def test_the_second_generation_finetunes_the_student_on_labels():
    first, second = counted(shrunk("meta_pseudo_labels"))
    assert {role: formula(n) for role, n in first.forward.items()} == {"student": "2l + u", "teacher": "l + 2u"}
    assert {role: formula(n) for role, n in second.forward.items()} == {"student": "l"}
    recipe = load("meta_pseudo_labels", SMALL)
    assert recipe.generations[1].settings.init == "previous" and sum(g.settings.steps for g in load("meta_pseudo_labels").generations) == 600  # fmt: skip


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_both_learn(references, tmp_path, moment):
    """A checkpoint of the first generation has the teacher and its optimizer: the rest is the same to the bit."""
    overrides = {**SMALL, "step.threshold": 0.1, "generation.0.steps": 6, "generation.1.steps": 4}
    job = harness.Job("meta_pseudo_labels", tuple(overrides.items()))
    trial = harness.Trial(job, references / "meta_pseudo_labels-first", tmp_path / "run")
    assert trial.kill_at("step", 4, moment) == "killed"
    trial.finish()
