"""What errors and flips amount to, relative to a reference model's. Hendrycks & Dietterich 2019 (arXiv 1903.12261)."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from torch import Tensor


def relative(mine: Iterable[float], theirs: Iterable[float]) -> float | None:
    """The sum of a model's figures over that of a reference's; None where that is 0, by which nothing is measured.

    Of one corruption's errors at its severities it is the corruption error CE, of one perturbation's probability of a
    flip the flip rate FR (sec. 3.3).
    """
    whole = sum(theirs)
    return sum(mine) / whole if whole else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean; None where there is nothing, or one is missing: it would be the mean of something else."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def flips(answers: Tensor, from_first: bool) -> int:
    """How often the predicted class changes in sequences of frames, (M, T): a count of at most M (T - 1) (sec. 3.3).

    Each frame is compared with the one before; `from_first`: with the first one, as frames of noise have no order.
    """
    before = answers[:, :1] if from_first else answers[:, :-1]
    return int((answers[:, 1:] != before).sum())


def why_absent(what: str, measured: bool, without: Sequence[str], given: bool) -> str:
    """Why there is no mean relative to a reference, a sentence.

    `measured`: whether there is a reference; `given`: whether its figures are a table, in which some are missing.
    """
    if not measured:
        return (
            f"{what} is left out: it is relative to a reference model, and there is none. Train the supervised baseline "
            "beside the run (baseline = true), name one (`sslkit evaluate RUN --baseline OTHER`), or give its figures as "
            "`reference`"
        )
    if given:
        return f"{what} is left out: `reference` gives no figure for {', '.join(without)}"
    return f"{what} is left out: the reference's figure for {', '.join(without)} is 0"


def check_reference(given: Mapping[str, float], names: Collection[str], what: str) -> None:
    """Raise `ValueError` for a reference's figures of other things than `names`, or that are no shares; `what`: of what."""
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"`reference` names {', '.join(unknown)}; {what} are {', '.join(names)}")
    if wrong := {name: figure for name, figure in given.items() if not 0 < figure <= 1}:
        said = ", ".join(f"{name} = {figure:g}" for name, figure in wrong.items())
        raise ValueError(f"`reference` says {said}; its figures are shares above 0 and of at most 1, 0.82 for 82%")
