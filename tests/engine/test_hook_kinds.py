"""The four kinds of hook, what `on` and `when` choose, and what a faulty plugin is told."""

import json
import math
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from driving import Bench, entry
from torch import nn
from torch.nn import Identity, Linear

from sslkit import Batch, Labeled, LossTerm, Outputs, Progress, Step, Targets, View, ViewSpec, hookimpl
from sslkit.errors import PluginError, RecipeError
from sslkit.hooks import Hooks
from sslkit.hookspecs import SECTIONS


@dataclass(eq=False)
class Plugin:
    """Implements whatever functions it is given, as hooks of these names."""

    def __new__(cls, **functions):
        return object.__new__(type("Plugin", (Plugin,), {name: hookimpl(f) for name, f in functions.items()}))

    def __init__(self, **_):
        pass


def hooks(*entries):
    """`("loss", "name", {hook: function}, on, when)` for each plugin."""
    return Hooks([entry(section, Plugin(**functions), name, *rest) for section, name, functions, *rest in entries])


NOW = Progress(3, 1, 2, 10)
VIEW = ViewSpec("weak", "unlabeled", 8, 3)


def tiny_step():
    images = torch.rand(4, 3, 8, 8)
    labeled = Batch(
        "labeled", torch.arange(2), torch.arange(2), {"seen": View("seen", images[:2])}, torch.tensor([0, 1])
    )
    hidden = Batch("unlabeled", torch.arange(4), torch.arange(4), {"weak": View("weak", images)}, classes=2)
    return Step(labeled, hidden, NOW)


def test_fold_hands_each_plugin_the_last_ones_answer_in_the_order_given():
    two = lambda self, images: images * 2  # noqa: E731
    one = lambda self, images: images + 1  # noqa: E731
    folded = hooks(("noise", "a", {"perturb_batch": two}, ("weak",)), ("noise", "b", {"perturb_batch": one}, ("weak",)))
    turned = hooks(("noise", "a", {"perturb_batch": one}, ("weak",)), ("noise", "b", {"perturb_batch": two}, ("weak",)))
    zeros = torch.zeros(1, 3, 2, 2)
    assert folded.perturb_batch(zeros, VIEW, NOW).unique().tolist() == [1]
    assert turned.perturb_batch(zeros, VIEW, NOW).unique().tolist() == [2]


def test_collect_keeps_every_answer_in_order_and_names_terms_after_their_plugins():
    term = lambda value, name="": LossTerm(torch.tensor(value), 1.0, name)  # noqa: E731
    found = hooks(
        ("loss", "first", {"loss": lambda self: term(1.0)}),
        ("loss", "second", {"loss": lambda self: [term(2.0, "x"), term(3.0, "y")]}),
        ("loss", "third", {"loss": lambda self: []}),
    ).loss(tiny_step(), None)
    assert [(t.name, t.value.item()) for t in found] == [("first", 1), ("second.x", 2), ("second.y", 3)]


def test_slot_takes_the_one_answer_and_its_default():
    assert hooks().decide(Outputs(torch.ones(1, 2)), "step").tolist() == [[1, 1]]
    assert hooks(("loss", "a", {"decide": lambda self, outputs: outputs.logits * 3})).decide(
        Outputs(torch.ones(1, 2)), "step"
    ).tolist() == [[3, 3]]
    asked = []
    hooks(("loss", "a", {"decide": lambda self, purpose: asked.append(purpose) or torch.ones(1, 2)})).decide(
        Outputs(torch.ones(1, 2)), "pool"
    )
    assert asked == ["pool"]
    assert hooks().build_model(None, {}) is None and hooks().average(nn.Linear(1, 1)) is None
    assert hooks().schedule(NOW) == 1.0 and hooks().measure(None, None, None, None, NOW) == {}


def test_notify_reaches_all_and_accepts_nothing_back():
    told_ = []
    tell = lambda name: lambda self, event: told_.append((name, event.kind))  # noqa: E731
    hooks(("tracker", "a", {"report": tell("a")}), ("tracker", "b", {"report": tell("b")})).report("start", NOW)
    assert told_ == [("a", "start"), ("b", "start")]
    with pytest.raises(PluginError, match=r"\[tracker\] a: hook `report` answered int; nothing was expected"):
        hooks(("tracker", "a", {"report": lambda self, event: 1})).report("start", NOW)


def test_hooks_across_sections_follow_the_order_of_sections(tiny):
    """TOML keeps no order between sections: the recipe names them backwards here."""
    keyed = {"noise": "mix", "loss": "loss", "schedule": "scheduled", "metric": "measure", "tracker": "report"}
    classes = "from dataclasses import dataclass\nfrom sslkit import hookimpl\nORDER = []\n"
    tables = {}
    for section, hook in [*keyed.items(), ("labeler", "after_step"), ("step", "train_step")]:
        classes += f"""
@dataclass(eq=False, kw_only=True)
class In{section.title()}:
    @hookimpl
    def begin(self): ORDER.append("{section}")
    @hookimpl
    def {hook}(self): ...
"""
        head = "[step]" if section == "step" else f"[[{section}]]"
        on = 'on = "labeled"\n' if section == "loss" else ""
        tables[section] = f'{head}\nname = "my_{section}"\nuse = "./plugins.py:In{section.title()}"\n{on}'
    recipe = tiny("".join(tables[section] for section in reversed(SECTIONS) if section in tables), classes)
    bench = Bench(recipe)
    order = sys.modules[type(bench.plugin("my_noise")).__module__].ORDER
    assert order == [section for section in SECTIONS if section in tables]


def test_order_within_a_section_is_the_recipes(tiny):
    text = "".join(f'[[loss]]\nname = "{name}"\nuse = "mean_squared"\non = "labeled"\n' for name in "cab")
    (terms,) = Bench(tiny(text)).train(1)
    assert [term.name for term in terms] == ["supervised", "c", "a", "b"]


def test_on_says_which_views_a_plugin_sees_and_when_which_timing():
    seen = []
    note = lambda name: lambda self, images, view: seen.append((name, view.name)) or images  # noqa: E731
    some = hooks(
        ("noise", "weak_only", {"perturb_batch": note("weak_only")}, ("weak",)),
        ("noise", "nothing", {"perturb_batch": note("nothing")}),
        ("noise", "both", {"perturb_batch": note("both")}, ("seen", "weak")),
    )
    some.perturb_batch(torch.zeros(1, 3, 8, 8), VIEW, NOW)
    some.perturb_batch(torch.zeros(1, 3, 8, 8), ViewSpec("seen", "labeled", 8, 3), NOW)
    assert seen == [("weak_only", "weak"), ("both", "weak"), ("both", "seen")]
    seen.clear()
    answer = Targets.of(torch.arange(4), torch.full((4, 2), 0.5))
    asked = lambda self, on: seen.append(on) or answer  # noqa: E731
    labelers = hooks(
        ("labeler", "pool", {"label": asked}, ("clean",), "pool"),
        ("labeler", "step", {"label": asked}, ("seen", "weak"), "step"),
        ("labeler", "late", {"refine": lambda self, targets: seen.append("late") or targets}, (), "step"),
        ("labeler", "always", {"refine": lambda self, targets: seen.append("always") or targets}),
    )
    labelers.label("step", tiny_step().unlabeled, None, NOW)
    assert seen == [("weak",)]  # of its views those that the batch holds
    labelers.refine("pool", answer, None, None, NOW)
    labelers.refine("step", answer, None, None, NOW)
    assert seen[1:] == ["always", "late", "always"]
    given = lambda self, targets, on: seen.append(on) or targets  # noqa: E731
    hooks(("labeler", "r", {"refine": given}, ("seen", "weak"))).refine(
        "step", answer, tiny_step().unlabeled, None, NOW
    )
    assert seen[-1] == ("seen", "weak")  # of the other stream too
    mixed = hooks(("noise", "m", {"mix": lambda self, step, on: seen.append(on) or step}, ("strong", "weak", "seen")))
    mixed.mix(tiny_step())
    assert seen[-1] == ("weak", "seen")


def test_a_loss_waits_for_its_views():
    term = lambda self: LossTerm(torch.tensor(1.0))  # noqa: E731
    some = hooks(("loss", "here", {"loss": term}, ("seen",)), ("loss", "waiting", {"loss": term}, ("seen", "strong")))
    assert [t.name for t in some.loss(tiny_step(), None)] == ["here"]


def test_each_plugin_draws_from_a_key_of_its_own():
    keys = []
    draw = lambda self, images, progress: keys.append(progress.key()) or images  # noqa: E731
    some = hooks(*(("noise", name, {"perturb_batch": draw}, ("weak",)) for name in "ab"))
    for now in (NOW, NOW, Progress(3, 1, 3, 10), Progress(3, 2, 2, 10)):
        some.perturb_batch(torch.zeros(1), VIEW, now)
    assert keys[:2] == keys[2:4] and len(set(keys)) == 6


def fails(section, hook, function, problem, call, on=("weak",)):
    """The error says which plugin of which section, which hook, what came, what was expected."""
    with pytest.raises(PluginError) as caught:
        call(hooks((section, "culprit", {hook: function}, on)))
    head = {"noise": "noise", "labeler": "labeler", "loss": "loss", "schedule": "schedule"}.get(section, section)
    assert str(caught.value).startswith(f"[{head}] culprit: hook `{hook}` ")
    assert problem in str(caught.value)


def targets(**columns):
    whole = Targets.of(torch.arange(4), torch.full((4, 2), 0.5))
    for name, column in columns.items():
        setattr(whole, name, column)
    return whole


def boom(self):
    raise KeyError("lost")


PERTURB = lambda h: h.perturb_batch(torch.zeros(2, 3, 8, 8), VIEW, NOW)  # noqa: E731
LABEL = lambda h: h.label("step", tiny_step().unlabeled, None, NOW)  # noqa: E731
REFINE = lambda h: h.refine("pool", targets(), None, None, NOW)  # noqa: E731
LOSS = lambda h: h.loss(tiny_step(), None)  # noqa: E731
TRAIN = lambda h: h.train_step(tiny_step(), None, None)  # noqa: E731
MEASURE = lambda h: h.measure(None, None, None, None, NOW)  # noqa: E731
GRAD = torch.full((4, 2), 0.5, requires_grad=True)


@pytest.mark.parametrize(
    "section, hook, function, problem, call",
    [
        ("noise", "perturb_batch", boom, "raised KeyError: 'lost'", PERTURB),
        ("noise", "perturb_batch", lambda self: None, "answered NoneType; Tensor was expected", PERTURB),
        ("noise", "perturb_batch", lambda self, images: images[:1], "answered shape (1, 3, 8, 8); (2, 3, 8, 8) was", PERTURB),
        ("noise", "mix", lambda self: None, "answered NoneType; Step was expected", lambda h: h.mix(tiny_step())),
        ("noise", "model_kwargs", lambda self: 3, "answered int; dict was expected", lambda h: h.model_kwargs(0)),
        ("noise", "image_transforms", lambda self: print, "list was expected", lambda h: h.image_transforms(VIEW)),
        ("labeler", "label", lambda self: torch.ones(4), "answered Tensor; Targets was expected", LABEL),
        ("labeler", "label", lambda self: targets().rows(torch.arange(3)), "`index` of shape (3,); (4,) was expected", LABEL),
        ("labeler", "label", lambda self: targets(probs=torch.ones(4)), "of shape (4,); (4, 2) was expected", LABEL),
        ("labeler", "label", lambda self: targets(raw=torch.ones(4, 3)), "`raw` of shape (4, 3); (4, 2) was expected", LABEL),
        ("labeler", "refine", lambda self: targets(probs=torch.ones(4, 3)), "of shape (4, 3); (4, 2) was", REFINE),
        ("labeler", "refine", lambda self: targets(probs=GRAD), "`probs` with a gradient; targets are constants", REFINE),
        ("labeler", "refine", lambda self: targets(weight=torch.ones(4, 1)), "`weight` of shape (4, 1); (4,) was", REFINE),
        ("labeler", "make_teacher", lambda self: 3, "answered int; Identity or nothing was expected",
         lambda h: h.make_teacher("step", Identity(), None, None)),
        ("labeler", "make_teacher", lambda self: Linear(1, 1), "answered Linear; Identity or nothing was expected",
         lambda h: h.make_teacher("step", Identity(), None, None)),
        ("labeler", "average", lambda self: "ema", "answered str; Identity or nothing was",
         lambda h: h.average(Identity())),
        ("labeler", "revise_labeled", lambda self: None, "Labeled was expected",
         lambda h: h.revise_labeled(Labeled(*[torch.arange(2)] * 3), None, NOW)),
        ("loss", "loss", lambda self: torch.tensor(1.0), "answered Tensor; LossTerm or list was expected", LOSS),
        ("loss", "loss", lambda self: [torch.tensor(1.0)], "answered a list with Tensor; LossTerm was expected", LOSS),
        ("loss", "loss", lambda self: LossTerm(torch.ones(4)), "a value of shape (4,); a scalar was expected", LOSS),
        ("loss", "loss", lambda self: LossTerm(1.0), "a value that is float; a scalar Tensor was expected", LOSS),
        ("loss", "decide", lambda self: None, "Tensor was expected", lambda h: h.decide(Outputs(torch.ones(1, 2)), "step")),
        ("loss", "decide", lambda self: torch.ones(1), "answered shape (1,); (1, 2) was expected",
         lambda h: h.decide(Outputs(torch.ones(1, 2)), "step")),
        ("loss", "extend_model", lambda self: {"h": 1}, "answers `h`, which is int; Module was expected",
         lambda h: h.extend_model(None)),
        ("schedule", "scheduled", lambda self: torch.ones(1), "float or int was expected", lambda h: h.schedule(NOW)),
        ("step", "train_step", lambda self: None, "answered NoneType; list was expected", TRAIN),
        ("step", "train_step", lambda self: [1.0], "answered a list with float; LossTerm was expected", TRAIN),
        ("step", "trainables", lambda self: {"m": 1}, "answers `m`, which is int; Module was expected",
         lambda h: h.trainables(None, None)),
        ("metric", "measure", lambda self: 0.5, "answered float; dict was expected",
         lambda h: h.measure(None, None, None, None, NOW)),
        ("model", "build_model", lambda self: 0.5, "Module was expected", lambda h: h.build_model(None, {})),
        ("data", "open_data", lambda self: [], "answered list; Data was expected", lambda h: h.open_data(NOW)),
        ("metric", "measure", lambda self: {"curve": object()}, "answers `curve`, which is no number, text, or list", MEASURE),
    ],
)  # fmt: skip
def test_errors_name_plugin_hook_and_expectation(section, hook, function, problem, call):
    fails(section, hook, function, problem, call)


@pytest.mark.parametrize(
    "section, hook, call",
    [
        ("noise", "model_kwargs", lambda h: h.model_kwargs(0)),
        ("loss", "extend_model", lambda h: h.extend_model(None)),
        ("metric", "measure", lambda h: h.measure(None, None, None, None, NOW)),
    ],
)
def test_two_answers_under_one_name_are_refused(section, hook, call):
    answer = {hook: lambda self: {"same": 1 if hook == "measure" else nn.Identity()}}
    with pytest.raises(PluginError, match=f"b: hook `{hook}` answers `same`, which `a` answers already"):
        call(hooks((section, "a", answer), (section, "b", answer)))


def test_metrics_of_tensors_and_arrays_are_numbers_and_what_is_no_number_is_null():
    answer = {
        "a": torch.tensor(0.5),
        "b": np.float32(0.25),
        "c": math.nan,
        "d": {"e": [np.int64(3), torch.tensor([math.inf])]},
    }
    measured = MEASURE(hooks(("metric", "m", {"measure": lambda self: answer})))
    assert measured == {"a": 0.5, "b": 0.25, "c": None, "d": {"e": [3, [None]]}}
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


def test_draws_differ_between_views_streams_and_the_pools_labels():
    """A step perturbs several views, and a pool's chunk n is no step n: none may share its noise with another."""
    keys = []

    def perturb(self, images, progress):
        keys.append(progress.key())
        return images

    found = hooks(("noise", "n", {"perturb_batch": perturb}, ("weak", "strong")))
    images = torch.zeros(1, 3, 8, 8)
    for name, stream in (("weak", "unlabeled"), ("strong", "unlabeled"), ("weak", "labeled")):
        for progress in (NOW, replace(NOW, scope="pool")):
            found.perturb_batch(images, ViewSpec(name, stream, 8, 3), progress)
    assert len(set(keys)) == 6
    found.perturb_batch(images, VIEW, NOW)
    assert keys[-1] == keys[0]


def test_errors_that_speak_to_users_already_are_left_as_they_are():
    def refuse(self):
        raise RecipeError("say it so")

    with pytest.raises(RecipeError, match=r"^say it so$"):
        hooks(("noise", "a", {"perturb_batch": refuse}, ("weak",))).perturb_batch(torch.zeros(1), VIEW, NOW)


def test_an_argument_that_no_hook_has_is_refused():
    with pytest.raises(RecipeError, match="nonsense"):
        hooks(("loss", "a", {"loss": lambda self, nonsense: []}))
