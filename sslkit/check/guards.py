"""Guard rails: what can be run but looks unintended, each with the reason.

Every rule looks at one generation's composition (and the one before it) and says what it sees, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from ..dataset import Data
from ..recipe.message import listed, shown
from ..recipe.model import Entry, Recipe
from ..recipe.traits import trait
from ..types import Facts, Progress
from .composition import Composition
from .filters import verdicts
from .seen import GenerationProbe
from .verdict import where

Rule = Callable[[Composition, Composition | None, Facts, Data | None], Iterable[str]]


def guards(recipe: Recipe, found: Sequence[GenerationProbe], facts: Facts, data: Data | None) -> list[str]:
    """What looks unintended in a recipe; what holds for several generations is said once."""
    each = [Composition(cfg, seen) for cfg, seen in zip(recipe.generations, found, strict=True)]
    places: dict[str, dict[int, None]] = {}
    for before, one in pairwise([None, *each]):
        assert one is not None
        for said in (said for rule in RULES for said in rule(one, before, facts, data)):
            places.setdefault(said, {})[one.cfg.index] = None
    every = len(recipe.generations)
    told = [f"{where(list(numbers)) if every > 1 else ''}{said}" for said, numbers in places.items()]
    return told + (held_out(data) if data is not None and any(one.timings for one in each) else [])


def named(entries: Iterable[Entry]) -> str:
    """The names of plugins."""
    return listed(entry.name for entry in entries)


# Noise ----------------------------------------------------------------------------------------------------------------


def noised_teacher(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """Labels are best made without noise."""
    cost = (
        "its labels get worse by that (in Xie et al. 2020 a B5 student fell from 83.9 to 83.7%, and with more unlabeled "
        "images from 84.9 to 84.4%)"
    )
    for timing in one.timings:
        views, teacher = one.label_views(timing), one.seen.teachers[timing]
        owner = before if teacher == "previous" and before is not None else one
        roles = ("teacher", "student") if teacher == "student" else ("teacher",)
        passes = [
            table for role in roles for table in one.plan if table.model == role and set(table.views) & set(views)
        ]
        if owner.acting_in_model and any(table.noise for table in passes[:1]):
            yield f"the teacher labels with {named(owner.acting_in_model)} on, as its [[pass]] runs with noise; {cost}"
        for view in views:
            noise = one.acting_on(view)
            if noise and timing == "pool":
                yield (
                    f"the pool is labeled from the view `{view}`, which {named(noise)} perturbs; {cost}. Leave `on` out, "
                    "and the clean view is labeled"
                )
            elif milder := one.milder(view):
                yield (
                    f"labels are made from the view `{view}`, which {named(noise)} perturbs; {cost}. `{milder}` has less "
                    "noise on it"
                )


def fitted_twice(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """A view's own way of fitting images is to be used."""
    for name, view in one.cfg.views.items():
        said = [f"`{key} = {shown(value)}`" for key in ("fit", "crop") if (value := getattr(view, key)) is not None]
        if said and (entry := one.resizing(name)):
            yield (
                f"view `{name}`: {listed(said)} does nothing, as `{entry.name}` resizes its images in a way of its own: "
                f"leave it out, or take `{entry.name}` off the view"
            )


def no_noise(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """A student is to learn more than its teacher knows."""
    if one.timings and one.learned and not any(noise_on(one, view) for view in one.learned):
        yield (
            f"no noise is on what the student learns from pseudo-labels ({listed(one.learned)}), so it is taught to "
            "repeat its teacher: put a [[noise]] on it"
        )


def noise_on(one: Composition, view: str) -> list[Entry]:
    """All noise between a view's images and the student's answer."""
    table = one.student_pass(view)
    model = one.acting_in_model if table is not None and table.noise else []
    return [*one.acting_on(view), *one.mixing(view), *model]


# Models ---------------------------------------------------------------------------------------------------------------


def small_student(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """An equal or larger student has room for more than its teacher knows."""
    if before is None or "previous" not in one.seen.teachers.values():
        return
    own, teachers = one.seen.parameters, before.seen.parameters
    if own < teachers:
        yield (
            f"the student ({one.seen.model}, {own:,} parameters) is smaller than its teacher ({before.seen.model}, "
            f"{teachers:,}): that compresses it, where self-training takes an equal or larger student (Xie et al. 2020)"
        )


def strong_statistics(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """Evaluation runs on clean images: statistics of none but the most distorted ones do not fit them."""
    noise = {view: {entry.name for entry in one.on_view(view)} for view, rows in one.rows.items() if rows}
    passes = [table for table in one.plan if table.model == "student" and table.write_stats]
    writing = [view for table in passes for view in table.views if view in noise]
    weaker = [view for view in noise if view in one.cfg.views and all(noise[view] < noise[w] for w in writing)]
    if writing and weaker:
        yield (
            f"batch-norm's running statistics come from {listed(writing)} only, the views with most noise on them, but "
            f"clean images are evaluated with them: let {listed(weaker)} write theirs too (one [[pass]] for all of them, "
            "or `write_stats = true`)"
        )


# Labels ---------------------------------------------------------------------------------------------------------------


def idle_filters(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """A threshold decides something."""
    progress = Progress(0, one.cfg.index, 0, one.cfg.settings.steps)
    for timing in one.timings:
        for verdict in verdicts(one.chain(timing), timing, facts, progress):
            least, most = f"{100 * verdict.least:.3g}%", f"{100 * verdict.most:.4g}%"
            if verdict.keeps == "everything":
                even = verdict.least < 1.01 / len(facts.classes)
                why = f"an even guess among {len(facts.classes)} classes" if even else "what labelers before it leave"
                yield f"[[labeler]] {verdict.name} keeps every label: none is less sure than {least}, {why}"
            else:
                yield f"[[labeler]] {verdict.name} keeps no label: it asks for more than {most}, and few are as sure"


def smoothed_soft(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """A soft label says already how unsure its teacher is."""
    if not one.timings or not one.soft:
        return
    streams = set(one.cfg.settings.label_streams) if "step" in one.timings else {"unlabeled"}
    for entry in one.of("loss"):
        soft = [view for view in entry.on if one.stream_of(view) in streams]
        kind: type = type(entry.plugin)
        for field in trait(kind, "acts_on_hard") if soft else ():
            if value := getattr(entry.plugin, field, None):
                yield (
                    f"[[loss]] {entry.name}: `{field} = {shown(value)}` does nothing on {listed(soft)}, whose labels are "
                    "soft and say already how unsure their teacher is; it acts on one-hot ones (`hard_labels`)"
                )


def unseen_pool(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """What is never drawn teaches nothing."""
    if data is None or data.unlabeled is None or not one.streams.get("unlabeled") or not one.learned:
        return
    rows, steps, pool = one.streams["unlabeled"], one.cfg.settings.steps, len(data.unlabeled)
    if rows * steps < pool:
        yield (
            f"{steps:,} step{'s' * (steps > 1)} of {rows:,} unlabeled images draw {rows * steps:,}, so at least {pool - rows * steps:,} of "
            f"the {pool:,} are never seen: more steps, or a larger `batch.unlabeled`"
        )


def no_pool(one: Composition, before: Composition | None, facts: Facts, data: Data | None) -> Iterator[str]:
    """Half of the recipe is off without a word."""
    rows = one.cfg.settings.batch.unlabeled
    if data is not None and data.unlabeled is None and rows and one.learned:
        yield f"`batch.unlabeled = {rows}`, but the data has no unlabeled images: what learns from them is off"


RULES: tuple[Rule, ...] = (
    no_pool,
    fitted_twice, noised_teacher, no_noise, small_student, idle_filters, smoothed_soft, unseen_pool, strong_statistics,
)  # fmt: skip
"What is looked at in each generation."


# Data -----------------------------------------------------------------------------------------------------------------


def held_out(data: Data) -> list[str]:
    """Labels that choose among settings are labels too."""
    if data.validation is None or not data.validation.known:
        return []
    chosen, taught = len(data.validation), len(data.labeled)
    if chosen <= taught:
        return []
    return [
        f"{chosen:,} labels are for validation and {taught:,} for training: few who have so many would hold them back "
        "(Oliver et al. 2018)"
    ]
