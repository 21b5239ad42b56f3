"""`global_mean`: the mean here, and the right gradient on several processes, whatever each one's rows."""

import multiprocessing

import pytest
import torch
from torch import distributed, nn

from sslkit import global_mean


def test_in_one_process_it_is_the_mean():
    values = torch.randn(7, 3, requires_grad=True)
    assert torch.equal(global_mean(values), values.mean())
    (gradient,) = torch.autograd.grad(global_mean(values), values)
    assert torch.allclose(gradient, torch.full((7, 3), 1 / 21))


def test_filtered_rows_count_as_zeros():
    assert global_mean(torch.tensor([4.0, 0.0, 0.0, 0.0])) == 1


def problem():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(4, 3), draw(9, 4), torch.rand(9, generator=generator) > 0.4


def rows_of(weight, images, kept):
    return ((images @ weight) ** 2).sum(1) * kept


SHARES = {2: [slice(0, 7), slice(7, 9)], 3: [slice(0, 1), slice(1, 5), slice(5, 9)]}


def one_process(rank, world, file, answers):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    weight, images, kept = problem()
    model = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    model.weight.data = weight.T.clone()
    parallel = nn.parallel.DistributedDataParallel(model)
    own = SHARES[world][rank]
    value = global_mean((parallel(images[own]) ** 2).sum(1) * kept[own])
    value.backward()
    answers.put((rank, value.item(), model.weight.grad.tolist()))
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("world", [2, 3])
def test_gradients_of_unequal_shares_average_to_that_of_the_whole_batch(tmp_path, world):
    weight, images, kept = problem()
    weight.requires_grad_()
    whole = rows_of(weight, images, kept).mean()
    whole.backward()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    arguments = (world, str(tmp_path / "store"), answers)
    processes = [context.Process(target=one_process, args=(rank, *arguments)) for rank in range(world)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    for _, _, gradient in found:  # averaged by DistributedDataParallel
        assert torch.allclose(torch.tensor(gradient, dtype=torch.float64).T, weight.grad, rtol=1e-12, atol=1e-14)
    assert sum(value for _, value, _ in found) / world == pytest.approx(whole.item(), rel=1e-12)
