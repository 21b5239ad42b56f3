"""`sslkit check noisy_student_imagenet`: the paper's whole method on one screen, each number in it as it was published.

Numbers are derived here anew, from what the paper and its official code say (Xie et al., arXiv 1911.04252).
"""

import re

import pytest
import torch

from sslkit.check.examine import examine
from sslkit.commands.check import show
from sslkit.recipe import load

IMAGES = 1_281_167  # ImageNet's labeled images: official code
BATCH = 2_048  # paper, v1
EPOCH = IMAGES / BATCH
STEPS = int(350 * EPOCH)  # paper, v1: epochs of larger models
MU = (14, 14, 28)  # paper, v2: table of iterations
TUNED = round(1.5 * EPOCH)  # notes on the paper: fine-tuning at the test's resolution
RATE = 0.016 * BATCH / 256  # official code
STAIR, WARM = round(2.4 * EPOCH, 2), int(5 * EPOCH)  # official code
SURVIVAL, DROPOUT = 0.8, 0.5  # official code
L2_PARAMETERS, B7_PARAMETERS = 480, 66  # millions; paper, v1, and Tan & Le 2019


def line(text):
    """A row's text as `check` writes it: spaces single."""
    return " ".join(text.split())


NOISE = f"dropout (rate {DROPOUT}) stochastic_depth (survival {SURVIVAL})"
COLOURS = "mean 0.485 0.456 0.406 std 0.229 0.224 0.225"  # official code: ImageNet's
NORM = "bn_momentum 0.01 bn_eps 0.001"  # official code: momentum 0.99 of the old value, epsilon 1e-3
DECAY = f"step_decay (rate 0.97, every {STAIR:g}, warmup_steps {WARM:,}"  # official code
FIRST, LAST = RATE / WARM, RATE * 0.97 ** ((STEPS - 1) // STAIR)
ROWS = {
    0: {
        "generation": [f"{STEPS:,} steps from scratch"],
        "model": [
            f"tf_efficientnet_b7 600 px {COLOURS} # parameters crop {600 / 632:.3f} {NORM} {NOISE}"
        ],  # official code
        "optimizer": [
            f"rmsproptf rate {RATE:g} momentum 0.9 weight_decay 1e-05 decay all_but_norm alpha 0.9 eps 0.001"
        ],
        "schedule": [f"lr # {FIRST:.3g} to {LAST:.3g}, at most {RATE:g} {DECAY})"],
        "stream": [
            f"labeled: {BATCH:,} images a step {STEPS * BATCH:,} in all",
            f"unlabeled: {MU[0] * BATCH:,} images a step (mu {MU[0]}) off: no teacher yet",
        ],
        "view": [
            "labeled flip_crop (crop resized, flip 0.5, scale_min 0.08, ratio_max 1.33333) > randaugment (pool "
            "noisystudent, ops 2, magnitude 27, translate_max 100, cutout_max 40)",  # paper, v1; official code
            "unlabeled the noise of labeled",
        ],
        "labels": ["before training, for the whole pool no teacher yet"],
        "average": ["moving_average (decay 0.9999, warmup true, buffers average)"],  # official code
        "pass": ["student: labeled the batch's statistics, written with noise"],
        "loss": [
            "supervised: cross_entropy (label_smoothing 0.1) on labeled",  # official code
            "distillation: cross_entropy (weighting batch_ratio) on unlabeled off: no teacher yet",
        ],
        "metric": ["accuracy at the end"],
    },
    1: {
        "generation": [f"{STEPS:,} steps each from scratch the rest as before"],
        "model": [f"tf_efficientnet_l2 475 px {COLOURS} # parameters crop {475 / 507:.3f} {NORM} {NOISE}"],
        "stream": [
            f"unlabeled: {MU[1] * BATCH:,} images a step (mu {MU[1]}) {MU[1] * BATCH * STEPS:,} in all views as before"
        ],
        "labels": [
            "before training, for the whole pool by the generation before, from the view clean previous_student > "
            "soft_labels > confidence (threshold 0.3) > class_balance (per_class 130,000) > fixed_selection"
        ],  # official code
        "pass": ["student: labeled + unlabeled together the batch's statistics, written with noise"],
        "loss": ["distillation: cross_entropy (weighting batch_ratio) on unlabeled"],
    },
    3: {
        "generation": [f"{STEPS:,} steps from scratch the rest as before"],
        "stream": [
            f"unlabeled: {MU[2] * BATCH:,} images a step (mu {MU[2]}) {MU[2] * BATCH * STEPS:,} in all views as before"
        ],
    },
    4: {
        "generation": [f"{TUNED:,} steps from the previous weights the rest as before"],
        "model": [
            f"tf_efficientnet_l2 800 px {COLOURS} # parameters # of them frozen "
            f"crop {800 / 832:.3f} "
            'freeze ["conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2", "blocks.3"] '  # ours: published nowhere
            f"{NORM} {NOISE}"
        ],
        "schedule": [f"lr # {LAST:.3g} to {LAST:.3g} {DECAY}, start {STEPS - TUNED:,})"],
        "stream": [f"labeled: {BATCH:,} images a step {TUNED * BATCH:,} in all"],
        "view": ["labeled no noise on its images"],
        "labels": ["none are made"],
        "pass": ["student: labeled the batch's statistics, written with noise"],
        "loss": ["supervised: cross_entropy (label_smoothing 0.1) on labeled"],
    },
}
"Each generation's rows; # stands for a curve or a count that is asserted elsewhere."


@pytest.fixture(scope="module")
def result():
    """What the command finds out."""
    return examine(load("noisy_student_imagenet"), torch.device("cpu"))


@pytest.fixture
def printed(result, monkeypatch, capsys):
    """What the command prints at a width."""

    def at(width):
        monkeypatch.setenv("COLUMNS", str(width))
        show(result)
        return capsys.readouterr().out

    return at


def rows_of(text):
    """Generation -> label -> texts, from the tree: what a row goes on with is joined to it."""
    found, rows, last = {}, None, None
    for printed_line in text.splitlines():
        bare = re.sub(r"[│├└─]", " ", printed_line)
        if match := re.match(r"[├└]── generations? (\d)(?:-\d)? +(.*)", printed_line):
            rows = found[int(match[1])] = {"generation": [match[2]]}
            last = rows["generation"]
        elif re.search(r"[├└]── ", printed_line):
            label, _, rest = bare.strip().partition(" ")
            last = rows.setdefault(label, [])
            last.append(rest)
        elif printed_line.startswith(("│", "    ")) and rows is not None:
            last[-1] += " " + bare
        elif rows is not None:
            break
    return {n: {k: [tidy(t) for t in texts] for k, texts in rows.items()} for n, rows in found.items()}


def tidy(text):
    """Without separators, bars and measured counts."""
    text = re.sub(r"[▁▂▃▄▅▆▇█]+", "#", text.replace("·", " "))
    return line(re.sub(r"[\d,]+ (parameters|of them frozen)", r"# \1", text))


@pytest.mark.parametrize("width", [120, 200])
def test_every_row_is_the_papers(printed, width):
    found = rows_of(printed(width))
    assert list(found) == list(ROWS)
    for number, rows in ROWS.items():
        memory = found[number].pop("memory")
        assert re.fullmatch(r"(at most )?[\d.]+ TB: activations [\d.]+ TB(, labeling \d+ GB)?", memory[0])
        assert found[number] == rows, number


def test_models_are_as_large_as_published(printed):
    counts = [int(n.replace(",", "")) / 1e6 for n in re.findall(r"([\d,]+) parameters", printed(120))]
    assert [round(count) for count in counts] == [B7_PARAMETERS, L2_PARAMETERS, L2_PARAMETERS]


def test_the_head_says_the_sum_of_it(printed):
    head = line(printed(200).split("├")[0].replace("·", " "))
    steps = 4 * STEPS + TUNED
    assert f"1,000 classes {steps:,} steps in 5 generations" in head and "not opened" in head
    # Of a pool that is not there: three generations' labels, two lists of the 32 most probable classes (of 2 and 4 bytes)
    # with a remainder each, and what is beside.
    assert f"and {3 * (2 * (32 * 6 + 4) + 28) / 1000:.1f} kB for each unlabeled image bfloat16" in head
    assert "labeled train, unlabeled unlabeled, test val, classes 1,000, include_labeled false" in head


@pytest.mark.parametrize(("width", "height"), [(120, 60), (160, 50), (200, 45)])
def test_it_fits_one_screen(printed, width, height):
    lines = printed(width).splitlines()
    assert len(lines) <= height and max(map(len, lines)) <= width


def test_nothing_in_it_looks_unintended(printed):
    warnings = [text for text in printed(200).splitlines() if text.startswith("warning")]
    assert [text.split(":")[1].split()[0] for text in warnings] == ["the", "composed"]  # the data is not there
