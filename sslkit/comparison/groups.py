"""Runs that differ in their seed alone are one recipe: their results together, and one recipe beside another."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..study.seeds import format_seeds
from ..study.stats import Difference, Spread, difference, spread, unpaired_difference
from .members import Member

SEED = re.compile(r"(?:^|[\W_]+)(?:seed|s)[\W_]*$", re.IGNORECASE)
"What stands before the numbers of seeds in names."
NAMED = re.compile(r", seed \d+$")
"How the names of a study's runs end."


@dataclass(eq=False)
class Group:
    """One recipe, with all of its seeds."""

    letter: str
    "A, B, ...: what columns are headed with."
    name: str
    members: list[Member]

    @property
    def by_seed(self) -> dict[int, Member]:
        """The finished run of each seed that has a result; of several the first."""
        found: dict[int, Member] = {}
        for member in self.members:
            if member.final is not None:
                found.setdefault(member.seed, member)
        return found

    @property
    def twins(self) -> list[tuple[Member, Member]]:
        """Runs of one seed: the one that counts, and one more."""
        counted = self.by_seed
        return [(counted[m.seed], m) for m in self.members if m.final is not None and counted[m.seed] is not m]

    def spread(self, what: str = "final") -> Spread:
        """A result over seeds."""
        found = {seed: getattr(member, what) for seed, member in self.by_seed.items()}
        return spread({seed: value for seed, value in found.items() if value is not None})


@dataclass(frozen=True)
class Versus:
    """One recipe's final test accuracy minus another's."""

    group: Group
    base: Group
    difference: Difference
    paired: bool
    seeds: tuple[int, ...]
    "The seeds of the pairs; none where they are not paired."
    strangers: tuple[int, ...] = ()
    "Seeds that both have, measured on other test images: they make no pair."


def groups_of(members: Sequence[Member]) -> list[Group]:
    """Runs by recipe, in the order in which they were named, by seed within. What cannot be read belongs to none."""
    found: dict[str, list[Member]] = {}
    for member in members:
        if member.table:
            found.setdefault(member.recipe, []).append(member)
    parts = [sorted(own, key=lambda member: member.seed) for own in found.values()]
    return [Group(letter(i), name, own) for i, (name, own) in enumerate(zip(group_names(parts), parts, strict=True))]


def letter(index: int) -> str:
    """0 -> "A", 25 -> "Z", 26 -> "AA"."""
    before, last = divmod(index, 26)
    return (letter(before - 1) if before else "") + chr(ord("A") + last)


def group_names(groups: Sequence[Sequence[Member]]) -> list[str]:
    """What the runs of each group are called together, unlike any other group's."""
    names = [common_name([member.name for member in group]) for group in groups]
    return [name if names.count(name) == 1 else group[0].name for name, group in zip(names, groups, strict=True)]


def common_name(names: Sequence[str]) -> str:
    """The whole words that all names begin with, without the seed; the first name where there are none.

    `no noise` of `no noise, seed 3` and `no noise, seed 10`; `run` of `run`, `run-2` and `run-3`; `test100` of itself.
    Names end between words only: where a separator stands, or `s` or `seed` before a number.
    """
    if len(set(names)) == 1:
        return NAMED.sub("", names[0])
    words = [re.findall(r"[^\W\d_]+|\d+|[\W_]+", name) for name in names]
    same = "".join(own[0] for own in itertools.takewhile(lambda own: len(set(own)) == 1, zip(*words, strict=False)))
    rests = [name[len(same) :] for name in names]
    if all(rest[:1].isdigit() for rest in rests) and SEED.search(same):
        same = SEED.sub("", same)
    elif any(rest[:1].isalnum() for rest in rests):
        same = re.sub(r"[^\W_]+$", "", same)
    return re.sub(r"[\W_]+$", "", same) or names[0]


def versus(groups: Sequence[Group]) -> list[Versus]:
    """Every group that has results beside the first that has any."""
    there = [group for group in groups if group.by_seed]
    found = [compared(group, there[0]) for group in there[1:]]
    return [one for one in found if one is not None]


def compared(group: Group, base: Group) -> Versus | None:
    """Paired over shared seeds with the same test images, where there are any; else of the means."""
    ours, theirs = group.spread(), base.spread()
    shared = sorted(set(ours.values) & set(theirs.values))
    pairs = tuple(seed for seed in shared if group.by_seed[seed].same_test(base.by_seed[seed]))
    strangers = tuple(seed for seed in shared if seed not in pairs)
    alike = [spread({seed: one.values[seed] for seed in pairs}) for one in (ours, theirs)]
    if (paired := difference(alike[0], alike[1])) is not None:
        return Versus(group, base, paired, True, pairs, strangers)
    if not ours.values or not theirs.values:
        return None
    unpaired = unpaired_difference([*ours.values.values()], [*theirs.values.values()])
    return Versus(group, base, unpaired, False, (), strangers)


def seeds_words(group: Group) -> str:
    """`0-9`: the seeds of a group's runs."""
    return format_seeds(sorted({member.seed for member in group.members})).replace(" ", "")
