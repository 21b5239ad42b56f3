"""Learning rates of layers: falling from the classifier down, and lower for all but the classifier."""

from dataclasses import dataclass

import pytest
import torch
from driving import CPU, Bench, added, entry
from torch import nn

import sslkit
from sslkit import hookimpl
from sslkit.decay import rates
from sslkit.errors import RecipeError, RunError
from sslkit.state import facts_of, fresh_state, make_optimizer

BOTH = "[optimizer]\nlayer_decay = 0.5\nbackbone = 0.1\nweight_decay = 0.01\n"
BASE = 0.05  # the rate of `tiny`


def by_name(state, key="lr"):
    """A number of each learning parameter's group."""
    names = {id(parameter): name for name, parameter in state.student.named_parameters()}
    return {names[id(p)]: group[key] for group in state.optimizer.param_groups for p in group["params"]}


def stepped(state):
    """Rates as they are at a step."""
    state.set_rate()
    return by_name(state)


# Of named parameters, by hand -----------------------------------------------------------------------------------------


def test_rates_fall_from_the_classifier_down(tiny):
    """test_resnet has six layers: its stem, four blocks, the classifier."""
    found = stepped(Bench(tiny("[optimizer]\nlayer_decay = 0.5")).state)
    by_hand = {"fc.weight": 1, "fc.bias": 1, "layer4.0.conv1.weight": 1 / 2, "layer4.0.bn2.weight": 1 / 2,
               "layer3.0.bn1.bias": 1 / 4, "layer2.0.conv2.weight": 1 / 8, "layer1.0.conv1.weight": 1 / 16,
               "conv1.0.weight": 1 / 32, "bn1.weight": 1 / 32}  # fmt: skip
    assert {name: found[f"model.{name}"] / BASE for name in by_hand} == pytest.approx(by_hand)
    assert len(found) == len(list(Bench(tiny()).state.student.parameters()))


def test_layers_of_an_efficientnet(tiny):
    text = '[model]\nname = "test_efficientnet"\n[optimizer]\nlayer_decay = 0.9'
    found = stepped(Bench(tiny(text)).state)
    by_hand = {"classifier.weight": 1, "conv_head.weight": 0.9, "blocks.4.0.conv_dw.weight": 0.9,
               "blocks.0.0.conv.weight": 0.9**5, "conv_stem.weight": 0.9**6}  # fmt: skip
    assert {name: found[f"model.{name}"] / BASE for name in by_hand} == pytest.approx(by_hand)


@dataclass(eq=False)
class Heads:
    @hookimpl
    def extend_model(self, student):
        return {"turn": nn.Linear(student.model.get_classifier().in_features, 4)}


def test_all_but_the_classifier_and_heads_beside_it_learn_slowly(tiny):
    found = stepped(Bench(added(tiny("[optimizer]\nbackbone = 0.1"), entry("loss", Heads()))).state)
    fast = {name for name, rate in found.items() if rate == BASE}
    assert fast == {"model.fc.weight", "model.fc.bias", "heads.turn.weight", "heads.turn.bias"}
    assert all(rate == pytest.approx(0.1 * BASE) for name, rate in found.items() if name not in fast)


def test_both_are_multiplied(tiny):
    found = stepped(Bench(tiny(BOTH)).state)
    assert found["model.fc.weight"] == BASE
    assert found["model.layer4.0.conv1.weight"] == pytest.approx(BASE / 2 / 10)
    assert found["model.conv1.0.weight"] == pytest.approx(BASE / 32 / 10)


def test_a_schedule_multiplies_each_rate(tiny):
    bench = Bench(tiny(BOTH + '[[schedule]]\nuse = "cosine"\non = "lr"'))
    first = stepped(bench.state)
    bench.state.step = 2
    last = stepped(bench.state)
    shares = [last[name] / first[name] for name in first]
    assert shares == pytest.approx([shares[0]] * len(shares)) and shares[0] < 1


@pytest.mark.parametrize("decay", ["kernels", "all_but_norm", "all"])
@pytest.mark.parametrize("freeze", ["[]", '["conv1", "layer1"]'])
def test_what_decays_and_what_is_frozen_stay_as_they_were(tiny, decay, freeze):
    text = f'[model]\nfreeze = {freeze}\n[optimizer]\nweight_decay = 0.01\ndecay = "{decay}"\n'
    plain, scaled = Bench(tiny(text)).state, Bench(tiny(text + "layer_decay = 0.5\nbackbone = 0.1")).state
    learning = {name for name, parameter in plain.student.named_parameters() if parameter.requires_grad}
    assert by_name(scaled, "weight_decay") == {
        name: number for name, number in by_name(plain, "weight_decay").items() if name in learning
    }
    whole = stepped(Bench(tiny(BOTH)).state)
    assert stepped(scaled) == {name: whole[name] for name in learning}


def test_by_how_much_weights_move(tiny):
    """One step of plain gradient descent: each moves by its own rate times its gradient."""
    bench = Bench(
        tiny("[optimizer]\nlayer_decay = 0.5\nbackbone = 0.1\nmomentum = 0.0\noptions = { nesterov = false }")
    )
    before = {name: p.detach().clone() for name, p in bench.state.student.named_parameters()}
    bench.train(1)
    moved = {name: (before[name] - p.detach(), p.grad) for name, p in bench.state.student.named_parameters()}
    for name, share in (
        ("model.fc.weight", 1),
        ("model.layer4.0.bn2.weight", 1 / 20),
        ("model.conv1.0.weight", 1 / 320),
    ):
        difference, gradient = moved[name]
        assert torch.allclose(difference, BASE * share * gradient, atol=1e-7) and gradient.abs().max() > 1e-4


def test_without_either_timm_makes_the_groups(tiny):
    state = Bench(tiny()).state
    assert rates(state.cfg.optimizer, state.student) == {}
    assert all("lr_scale" not in group for group in state.optimizer.param_groups)


def test_models_that_do_not_tell_of_layers_or_a_classifier(tiny):
    plain = '''
from dataclasses import dataclass
import torch
from sslkit import hookimpl
@dataclass(eq=False, kw_only=True)
class Net:
    """A model that tells nothing of itself."""
    @hookimpl
    def build_model(self, facts, kwargs):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))
'''
    model = '[model]\nuse = "./plugins.py:Net"\nsize = 8\n[optimizer]\n'
    for key, said in (("layer_decay", "tells of no layers"), ("backbone", "names no classifier")):
        with pytest.raises(RecipeError, match=rf"\[optimizer\] {key}: the model {said}"):
            Bench(tiny(f"{model}{key} = 0.5", plain))


def test_what_is_trained_beside_the_student_learns_at_the_full_rate(tiny):
    table = tiny(BOTH).generations[0].optimizer
    assert all("lr_scale" not in group for group in make_optimizer(table, nn.Linear(2, 2)).param_groups)


# Going on -------------------------------------------------------------------------------------------------------------

GENERATIONS = """
save_every = 1
[model]
freeze = ["conv1"]
[[schedule]]
use = "cosine"
on = "lr"
[[generation]]
[[generation]]
init = "continue"
"""


@dataclass(eq=False)
class Stop:
    at: tuple[int, int]

    @hookimpl
    def after_step(self, progress):
        if (progress.generation, progress.step) == self.at:
            self.at = (-1, -1)
            raise RunError("enough")


@pytest.mark.parametrize("at", [(0, 1), (1, 1)])
def test_a_run_that_stopped_ends_in_the_same_bits(tiny, tmp_path, at):
    whole = sslkit.run(tiny(GENERATIONS.replace("[model]", BOTH + "[model]")), out=tmp_path / "whole", device="cpu")
    recipe = added(tiny(GENERATIONS.replace("[model]", BOTH + "[model]")), entry("metric", Stop(at)))
    with pytest.raises(RunError, match="enough"):
        sslkit.run(recipe, out=tmp_path / "run", device="cpu")
    resumed = sslkit.run(resume=tmp_path / "run", device="cpu")
    for index in (0, 1):
        one, other = resumed.model(index).state_dict(), whole.model(index).state_dict()
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_going_on_keeps_each_layers_momentum_and_takes_the_new_generations_rates(tiny):
    text = GENERATIONS.replace("[model]", BOTH + "[model]") + "optimizer.layer_decay = 0.25\n"
    recipe = tiny(text)
    bench = Bench(recipe, 0)
    bench.train(2)
    last, cfg = bench.state, recipe.generations[1]
    facts = facts_of(cfg, bench.data, CPU)
    state = fresh_state(cfg, cfg.entries(), facts, 0, last.student, last)
    old = {name: last.optimizer.state[p] for name, p in last.student.named_parameters() if p.requires_grad}
    for name, parameter in state.student.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(state.optimizer.state[parameter]["momentum_buffer"], old[name]["momentum_buffer"])
    found = stepped(state)
    assert found["model.fc.weight"] == BASE and found["model.layer4.0.conv1.weight"] == pytest.approx(BASE / 4 / 10)
    assert found["model.layer1.0.conv1.weight"] == pytest.approx(BASE / 4**4 / 10)
