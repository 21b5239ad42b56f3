"""The rules, by hand: the same facts give the same proposal, and each says why."""

import pytest

from sslkit.starting.facts import Facts, Split
from sslkit.starting.machine import Machine, this_machine
from sslkit.starting.rules import FEWEST, MOST, balance, batch, halved, image_size, propose, steps_for, threshold

CPU = Machine(cores=2, memory=16 * 10**9)
GPU = Machine(cores=8, memory=64 * 10**9, gpu="H100", gpu_memory=80 * 10**9)


def facts(side=32, labels=250, pool=5000, classes=10, counts=None, validation=0):
    counts = counts or (labels // classes,) * classes
    splits = [
        Split(name="labeled", images=sum(counts), counts=tuple(counts), heights=(side,), widths=(side + 9,)),
        Split(name="unlabeled", images=pool, heights=(side,), widths=(side,)),
        *([Split(name="validation", images=validation)] if validation else []),
    ]
    return Facts(classes=tuple(map(str, range(len(counts)))), splits=tuple(splits))


@pytest.mark.parametrize(
    "side, cpu, gpu",
    [(32, 48, 48), (28, 40, 40), (8, 16, 16), (48, 72, 72), (64, 64, 64), (61, 64, 64), (100, 64, 96), (3000, 64, 224)],
)
def test_size(side, cpu, gpu):
    assert (image_size(facts(side), CPU).value, image_size(facts(side), GPU).value) == (cpu, gpu)
    assert f"shorter sides is {side:,} px" in image_size(facts(side), CPU).why


def test_size_goes_by_the_median_of_shorter_sides():
    split = Split(name="labeled", images=3, heights=(10, 300, 90), widths=(500, 64, 95))
    assert Facts(classes=("a", "b"), splits=(split,)).side == 64


@pytest.mark.parametrize("labels, labeled", [(12, 8), (64, 8), (250, 32), (400, 64), (50_000, 64)])
def test_batch_is_an_eighth_of_the_labels(labels, labeled):
    found = facts(counts=(labels - labels // 2, labels // 2))
    assert batch(found, CPU).value == {"labeled": labeled, "unlabeled": 3 * labeled}
    assert batch(found, GPU).value == {"labeled": labeled, "unlabeled": 7 * labeled}


def test_batch_is_no_larger_than_the_pool_and_is_halved_for_the_memory():
    proposed = batch(facts(pool=20), CPU)
    assert proposed.value == {"labeled": 32, "unlabeled": 20}
    assert halved(proposed, CPU).value == {"labeled": 16, "unlabeled": 10}
    assert halved(proposed, CPU).why == "as many as half of 16 GB of memory holds"


@pytest.mark.parametrize("classes, value", [(2, 0.7), (4, 0.45), (10, 0.3), (100, 0.3)])
def test_threshold_is_above_chance(classes, value):
    assert threshold(facts(labels=1000, classes=classes)).value == value


@pytest.mark.parametrize("counts, on", [((10, 10), False), ((29, 10), False), ((30, 10), True), ((5, 1, 400), True)])
def test_classes_are_balanced_where_the_labels_are_not(counts, on):
    assert balance(facts(counts=counts)).value is on
    times = (
        f"{max(counts) / min(counts):.1f} times the smallest's labels"
        if len(set(counts)) > 1
        else "as many labels of each"
    )
    assert times in balance(facts(counts=counts)).why


@pytest.mark.parametrize(
    "minutes, each, fixed, steps",
    [(8, 0.25, 30, 1800), (8, 0.5, 0, 960), (1, 1, 0, 60), (0.1, 1, 20, FEWEST), (10_000, 0.1, 0, MOST)],
)
def test_steps_fill_the_minutes(minutes, each, fixed, steps):
    said = steps_for(minutes, each, fixed, validates=False)
    assert said["steps"].value == steps
    assert said["save_every"].value == steps // 4 and said["evaluate_every"].value == 0
    assert steps * each + fixed <= 60 * minutes or steps == FEWEST
    assert ("the fewest" in said["steps"].why) == (steps == FEWEST)
    assert ("may end below their teacher: --minutes" in said["steps"].why) == (steps < 200)


def test_few_steps_say_how_long_more_of_them_take():
    assert steps_for(1, 1, 10, validates=False)["steps"].why.endswith("--minutes 4 makes 200")


def test_where_images_validate_steps_are_measured_on_the_way():
    assert propose(facts(validation=9), CPU)["evaluate_every"].value > 0
    assert steps_for(8, 0.25, 30, validates=True)["evaluate_every"].value == 450


def test_equal_facts_give_equal_proposals_and_each_has_a_reason():
    proposal = propose(facts(), CPU)
    assert proposal == propose(facts(), CPU)
    assert [name for name, one in proposal.items() if not one.why] == ["steps"]  # which are measured later


def test_this_machine():
    here = this_machine()
    assert here.cores >= 1 and here.memory > 2**28
    assert here.words.startswith(f"{here.cores} core" if not here.gpu else here.gpu)
    assert GPU.words == "H100 (80 GB), 8 cores, 64 GB" and GPU.room == 40 * 10**9 and CPU.room == 8 * 10**9
    assert Machine(cores=1, memory=0).words == "1 core, no GPU"
