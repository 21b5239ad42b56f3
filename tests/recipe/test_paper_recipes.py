"""The paper-scale recipes say what the paper and its official code say: every number, with its source in words."""

import math
import re
import tomllib
from dataclasses import replace

import pytest
import torch

from sslkit.network import build_network
from sslkit.recipe import load, shipped
from sslkit.recipe.compose import draft_of
from sslkit.state import make_optimizer, plugins_of
from sslkit.types import Facts, Progress, ViewSpec
from sslkit_plugins.noise.randaugment import Reach, argument

CODE, V1, V2, NOTES, OURS = "official code", "paper v1", "paper v2, table of iterations", "notes", "ours"
SOURCES = (CODE, V1, "paper v2", NOTES, OURS)
LABELED = 1_281_167
"Images of ImageNet's training set: an epoch."
BATCH_NORM = {"bn_momentum": 0.01, "bn_eps": 1e-3}
RMSPROP = {"alpha": 0.9, "eps": 1e-3}

# (generations, path in the resolved recipe, value, source)
IMAGENET = [
    ("0123", "steps", 218_949, V1 + " (350 epochs, as B7 and L2 are larger than B4); " + CODE),
    ("4", "steps", 938, NOTES + " (1.5 epochs)"),
    ("01234", "batch.labeled", 2_048, V1),
    ("12", "batch.unlabeled", 14 * 2_048, V2),
    ("3", "batch.unlabeled", 28 * 2_048, V2),
    ("4", "batch.unlabeled", 0, NOTES + " (labeled images alone)"),
    ("01234", "precision", "bfloat16", CODE),
    ("01234", "save_every", 1_000, CODE),
    ("01234", "workers", 32, OURS),
    ("0123", "labels", "pool", CODE),
    ("4", "labels", "none", NOTES),
    ("0123", "init", "scratch", V1),
    ("4", "init", "previous", CODE),
    ("0", "model.name", "tf_efficientnet_b7", V2),
    ("1234", "model.name", "tf_efficientnet_l2", V2),
    ("0", "model.size", 600, CODE),
    ("123", "model.size", 475, NOTES),
    ("4", "model.size", 800, NOTES + "; " + CODE),
    ("01234", "data.classes", 1_000, CODE),
    ("0", "model.crop", 0.949, CODE),
    ("123", "model.crop", 0.937, CODE),
    ("4", "model.crop", 0.962, CODE),
    ("01234", "model.options", BATCH_NORM, CODE),
    ("01234", "model.pretrained", False, V1 + " (from scratch)"),
    ("0123", "model.freeze", [], V1),
    ("4", "model.freeze", ["conv_stem", "bn1", *(f"blocks.{i}" for i in range(4))], CODE + "; how many: " + OURS),
    ("01234", "optimizer.name", "rmsproptf", CODE),
    ("01234", "optimizer.rate", 0.016 * 2_048 / 256, CODE),
    ("01234", "optimizer.momentum", 0.9, CODE),
    ("01234", "optimizer.options", RMSPROP, CODE),
    ("01234", "optimizer.weight_decay", 1e-5, CODE),
    ("01234", "optimizer.decay", "all_but_norm", CODE),
    ("0123", "noise.flip_crop.enabled", True, CODE),
    ("01234", "noise.flip_crop.crop", "resized", CODE),
    ("01234", "noise.flip_crop.flip", 0.5, CODE),
    ("01234", "noise.flip_crop.scale_min", 0.08, CODE),
    ("01234", "noise.flip_crop.ratio_max", 4 / 3, CODE),
    ("0123", "noise.randaugment.enabled", True, CODE),
    ("01234", "noise.randaugment.pool", "noisystudent", CODE),
    ("01234", "noise.randaugment.ops", 2, V1 + "; " + CODE),
    ("01234", "noise.randaugment.magnitude", 27, V1 + "; " + CODE),
    ("01234", "noise.randaugment.translate_max", 100, CODE),
    ("01234", "noise.randaugment.cutout_max", 40, CODE),
    ("4", "noise.flip_crop.enabled", False, CODE),
    ("4", "noise.randaugment.enabled", False, CODE),
    ("01234", "noise.dropout.rate", 0.5, CODE),
    ("01234", "noise.stochastic_depth.survival", 0.8, CODE),
    ("01234", "labeler.confidence.threshold", 0.3, CODE),
    ("01234", "labeler.class_balance.per_class", 130_000, CODE),
    ("01234", "labeler.class_balance.max_copies", 0.0, CODE + " (no limit)"),
    ("01234", "labeler.moving_average.decay", 0.9999, CODE),
    ("01234", "labeler.moving_average.warmup", True, CODE),
    ("01234", "labeler.moving_average.buffers", "average", CODE),
    ("01234", "loss.supervised.label_smoothing", 0.1, CODE),
    ("01234", "loss.distillation.label_smoothing", 0.0, CODE),
    ("01234", "loss.distillation.weighting", "batch_ratio", CODE),
    ("0123", "loss.distillation.enabled", True, CODE),
    ("4", "loss.distillation.enabled", False, CODE),
    ("01234", "schedule.step_decay.rate", 0.97, CODE),
    ("01234", "schedule.step_decay.every", 1_501.37, CODE + " (2.4 epochs)"),
    ("01234", "schedule.step_decay.warmup_steps", 3_127, CODE + " (5 epochs)"),
    ("0123", "schedule.step_decay.start", 0, CODE),
    ("4", "schedule.step_decay.start", 218_949 - 938, CODE),
]
SVHN = [
    ("01", "steps", 109_474, CODE),
    ("01", "batch.labeled", 128, CODE),
    ("01", "batch.unlabeled", 5 * 128, CODE),
    ("01", "evaluate_every", 3_000, CODE),
    ("01", "save_every", 1_000, CODE),
    ("01", "workers", 4, OURS),
    ("01", "precision", "float32", CODE),
    ("01", "data.validation", 73_257 - 69_257, CODE),
    ("01", "data.unlabeled", "extra", CODE),
    ("01", "data.classes", 10, CODE),
    ("01", "model.architecture", "tf_efficientnet_b0", CODE),
    ("01", "model.layers", ["blocks.1", "blocks.2"], CODE),
    ("01", "model.size", 32, CODE),
    ("01", "model.mean", [0.4376821, 0.4437697, 0.47280442], CODE),
    ("01", "model.std", [0.19803012, 0.20101562, 0.19703614], CODE),
    ("01", "model.options", BATCH_NORM, CODE),
    ("01", "optimizer.name", "rmsproptf", CODE),
    ("01", "optimizer.rate", 0.016 * 128 / 256, CODE),
    ("01", "optimizer.momentum", 0.9, CODE),
    ("01", "optimizer.options", RMSPROP, CODE),
    ("01", "optimizer.weight_decay", 1e-4, CODE),
    ("01", "optimizer.decay", "all_but_norm", CODE),
    ("01", "noise.randaugment.ops", 2, CODE),
    ("01", "noise.randaugment.magnitude", 5, CODE),
    ("01", "noise.randaugment.translate_max", 4, CODE),
    ("01", "noise.randaugment.cutout_max", 4, CODE),
    ("01", "noise.cutout.size", 16, CODE),
    ("01", "noise.cutout.fill", 128, CODE),
    ("01", "noise.flip_crop.crop", "pad", CODE),
    ("01", "noise.flip_crop.pad", 4, CODE),
    ("01", "noise.flip_crop.flip", 0.0, CODE),
    ("01", "noise.dropout.rate", 0.2, CODE),
    ("01", "noise.stochastic_depth.survival", 0.8, CODE),
    ("01", "labeler.confidence.threshold", 0.3, CODE),
    ("01", "labeler.class_balance.per_class", 53_113, CODE),
    ("01", "labeler.moving_average.decay", 0.9999, CODE),
    ("01", "labeler.moving_average.warmup", True, CODE),
    ("01", "labeler.moving_average.buffers", "average", CODE),
    ("01", "loss.supervised.label_smoothing", 0.1, CODE),
    ("01", "loss.distillation.label_smoothing", 0.0, CODE),
    ("01", "loss.distillation.weighting", "batch_ratio", CODE),
    ("01", "schedule.step_decay.rate", 0.97, CODE),
    ("01", "schedule.step_decay.every", 742.1, CODE),
    ("01", "schedule.step_decay.warmup_steps", 2_705, CODE + " (5 epochs)"),
]
NUMBERS = {"noisy_student_imagenet": IMAGENET, "noisy_student_svhn": SVHN}


def at(table, path):
    """A value by its dotted path; plugins by name."""
    for key in path.split("."):
        table = next(item for item in table if item["name"] == key) if isinstance(table, list) else table[key]
    return table


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_the_papers(name):
    recipe = load(name)
    tables = [draft_of(recipe, cfg.index).resolved for cfg in recipe.generations]
    wrong = [(generation, path, at(tables[int(generation)], path), value, source)
             for generations, path, value, source in NUMBERS[name] for generation in generations
             if at(tables[int(generation)], path) != pytest.approx(value)]  # fmt: skip
    assert wrong == []
    assert recipe.warnings == [] and len(tables) == {"noisy_student_imagenet": 5, "noisy_student_svhn": 2}[name]
    assert all(any(word in source for word in SOURCES) for _, _, _, source in NUMBERS[name])


def leaves(table, path=()):
    """(dotted path, value) of everything that a recipe's file says; plugins by name."""
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                yield from leaves(item, (*path, key, item.get("name") or item["use"]))
        elif isinstance(value, dict) and key != "options":
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


def number(value):
    return isinstance(value, (int, float, list, dict)) and not isinstance(value, bool)


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_of_the_file_is_missing_above(name):
    file = tomllib.loads(shipped()[name].read_text())
    generations = file.pop("generation")
    said = [("", leaf) for leaf in leaves(file)]
    said += [(str(i), leaf) for i, table in enumerate(generations) for leaf in leaves(table)]
    known = {(generation, path) for gs, path, _, _ in NUMBERS[name] for generation in ["", *gs]}
    numbers = [(generation, path) for generation, (path, value) in said if number(value)]
    assert len(numbers) > 25 and [one for one in numbers if one not in known] == []


@pytest.mark.parametrize("name", NUMBERS)
def test_each_line_with_a_number_says_where_it_comes_from(name):
    """Behind it, or, where there is no room, right above it."""
    lines = shipped()[name].read_text().splitlines()
    silent = []
    for i, line in enumerate(lines):
        code, _, comment = line.partition("#")
        if not re.search(r"=.*\d", re.sub(r'"[^"]*"', "", code)):
            continue
        above = " ".join(lines[max(0, i - 2) : i]) if lines[i - 1].startswith("#") else ""
        if not any(word in (comment + above).lower() for word in SOURCES):
            silent.append(line)
    assert silent == []


# What the numbers mean --------------------------------------------------------------------------------------------------


def composed(recipe, index, classes=1_000):
    """A generation's network and optimizer, without memory."""
    cfg = recipe.generations[index]
    facts = Facts(tuple(map(str, range(classes))), (0,) * classes, {}, {}, 32, 3, torch.device("meta"))
    with torch.device("meta"):
        network = build_network(cfg, plugins_of(cfg), facts)
        return network.model, make_optimizer(cfg.optimizer, network)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("index", "width", "depth", "count"), [(0, 2.0, 3.1, 66.3e6), (1, 4.3, 5.3, 480.3e6), (4, 4.3, 5.3, 480.3e6)]
)
def test_timms_networks_have_the_papers_scaling(index, width, depth, count):
    """L2: w = 4.3, d = 5.3, 480 million parameters (paper v1); drop_i = 0.2 i / L, batch-norm .99 and 1e-3 (code)."""
    model, _ = composed(load("noisy_student_imagenet"), index)
    assert parameters(model) == pytest.approx(count, rel=2e-3)
    assert model.conv_stem.out_channels == 8 * round(32 * width / 8)
    assert [len(stage) for stage in model.blocks] == [math.ceil(depth * n) for n in (1, 2, 2, 3, 3, 4, 1)]
    blocks = [block for stage in model.blocks for block in stage]
    drops = {i: getattr(block.drop_path, "drop_prob", 0.0) for i, block in enumerate(blocks) if block.has_skip}
    assert drops == {i: pytest.approx(0.2 * i / len(blocks)) for i in drops} and len(drops) > 40
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}
    assert model.drop_rate == 0.5


@pytest.mark.parametrize(("name", "decay"), [("noisy_student_imagenet", 1e-5), ("noisy_student_svhn", 1e-4)])
def test_everything_but_batch_norm_decays(name, decay):
    """Biases of squeeze-and-excitation and of the classifier included."""
    model, optimizer = composed(load(name), 0)
    norms = {id(p) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {id(p): 0.0 if id(p) in norms else decay for p in model.parameters()}
    group = optimizer.param_groups[0]
    assert type(optimizer).__name__ == "RMSpropTF" and (group["alpha"], group["momentum"], group["eps"]) == (
        0.9,
        0.9,
        1e-3,
    )
    assert group["lr_in_momentum"] and not group["decoupled_decay"]


def entries(recipe, index):
    return {entry.name: entry for entry in recipe.generations[index].entries()}


def rate(recipe, index, step):
    cfg = recipe.generations[index]
    schedule = entries(recipe, index)["step_decay"].plugin
    return cfg.optimizer.rate * schedule.scheduled(Progress(0, index, step, cfg.settings.steps))


def test_epochs_in_steps_and_the_rate():
    recipe = load("noisy_student_imagenet")
    epoch = LABELED / 2_048
    assert [cfg.settings.steps for cfg in recipe.generations] == [*[int(350 * epoch)] * 4, int(1.5 * epoch)]
    plugin = entries(recipe, 1)["step_decay"].plugin
    assert plugin.every == pytest.approx(2.4 * epoch, rel=1e-5) and plugin.warmup_steps == int(5 * epoch)
    assert rate(recipe, 1, 3_126) == pytest.approx(0.128) and rate(recipe, 1, 0) < 1e-4
    assert rate(recipe, 1, 218_948) == pytest.approx(0.128 * 0.97**145)
    # The fine-tuning takes the last steps of that schedule: no second warm-up.
    assert all(rate(recipe, 4, step) == rate(recipe, 3, 218_011 + step) for step in range(938))


def test_svhns_stairs_end_at_its_final_rate():
    """`main.py`: stairs as long as log(final / base) / log(0.97) of them fill all epochs but the warm-up's."""
    recipe = load("noisy_student_svhn")
    epoch = 69_257 / 128
    stairs = math.log(2e-4 / 0.016) / math.log(0.97)
    plugin = entries(recipe, 1)["step_decay"].plugin
    assert plugin.every == pytest.approx((109_474 - 5 * epoch) / stairs, rel=1e-4)
    assert plugin.warmup_steps == int(5 * epoch)
    assert rate(recipe, 1, 109_473) == pytest.approx(2e-4 * 128 / 256, rel=0.15)


def test_randaugment_has_the_official_arguments_at_27():
    plugin = entries(load("noisy_student_imagenet"), 1)["randaugment"].plugin
    (transform,) = plugin.image_transforms(ViewSpec("labeled", "labeled", 475, 3))
    assert (transform.ops, transform.probability, transform.magnitude, transform.reach) == (2, 1, 27, Reach(100, 40))
    assert transform.fill == transform.cutout_fill == (128, 128, 128)
    said = {
        op: argument("noisystudent", op, 2.7, transform.reach) for op in ("rotate", "shear_x", "translate_x", "cutout")
    }
    assert said == {"rotate": pytest.approx(81), "shear_x": pytest.approx(0.81), "translate_x": 270, "cutout": 108}
    assert argument("noisystudent", "color", 2.7, transform.reach) == pytest.approx(4.96)


@pytest.mark.parametrize(("name", "order"), [
    ("noisy_student_imagenet", ["flip_crop", "randaugment"]), ("noisy_student_svhn", ["randaugment", "cutout", "flip_crop"]),
])  # fmt: skip
def test_both_streams_get_the_noise_in_the_official_order(name, order):
    found = load(name).generations[1].entries()
    seeing = [entry for entry in found if entry.section == "noise" and entry.on]
    assert [entry.name for entry in seeing] == order
    assert all(set(entry.on) == {"labeled", "unlabeled"} for entry in seeing)


def test_the_teacher_sees_the_official_centre():
    """`preprocessing.py`: size / (size + 32) of the shorter side."""
    models = [cfg.model for cfg in load("noisy_student_imagenet").generations]
    assert [model.crop for model in models] == [pytest.approx(m.size / (m.size + 32), abs=5e-4) for m in models]


def test_who_teaches_and_what_counts():
    """Soft labels of the un-noised average of the generation before; filtered, then balanced, then kept for good."""
    recipe = load("noisy_student_imagenet")
    labelers = [entry.name for entry in recipe.generations[1].entries() if entry.section == "labeler"]
    assert labelers == [
        "previous_student", "soft_labels", "confidence", "class_balance", "fixed_selection", "moving_average"
    ]  # fmt: skip
    assert recipe.generations[1].passes == []  # a teacher's usual pass: no noise, running statistics
    assert plugins_of(recipe.generations[4]).image_transforms(ViewSpec("labeled", "labeled", 800, 3)) == []
    kept = [entry.name for entry in recipe.generations[4].entries() if entry.section == "noise"]
    assert kept == ["dropout", "stochastic_depth"]


def test_images_are_normalised_as_the_official_code_has_it():
    model, _ = composed(load("noisy_student_imagenet"), 1)
    assert tuple(model.pretrained_cfg["mean"]) == (0.485, 0.456, 0.406)
    assert tuple(model.pretrained_cfg["std"]) == (0.229, 0.224, 0.225)
    cfg = load("noisy_student_svhn").generations[0]
    facts = Facts(tuple("0123456789"), (0,) * 10, {}, {}, 32, 3, torch.device("cpu"))
    network = build_network(replace(cfg, model=None), plugins_of(cfg), facts)
    assert network.mean.flatten().tolist() == pytest.approx([0.4376821, 0.4437697, 0.47280442])
    assert network.std.flatten().tolist() == pytest.approx([0.19803012, 0.20101562, 0.19703614])
    assert network.image_size == 32 and parameters(network.model) == pytest.approx(4.02e6, rel=1e-2)
