"""Who mixes rows, and who labels them: what a labeler has seen in a pass must not change before the pass is learned from.

Labels are made before rows are mixed. Where the student itself teaches, it answers a labeler from the student's own
pass, so that the batch that the recipe asks for is one. A mixed view in that pass would run through the student twice: as
it was, for the labels, and as it is then, for the losses. And what a plugin remembers of the student's answers to an
image is of no image alone where rows were mixed.
"""

from __future__ import annotations

from .draft import Draft, Plugin
from .message import Problems, listed, shown
from .traits import trait


def check_mixing(draft: Draft, problems: Problems) -> None:
    """No view is mixed in a pass of the student that a labeler reads as well."""
    seen = label_views(draft)
    for plugin in draft.implementing("mix"):
        for views in student_passes(draft):
            labels, mixed = [view for view in views if view in seen], [view for view in views if view in plugin.on]
            if labels and mixed:
                problems.add(
                    plugin.table.where("on"),
                    f"{plugin.label}: mixes {quoted(mixed)} in the pass of the student that it shares with the label view "
                    f"{quoted(labels)} of {listed(dict.fromkeys(seen[view].label for view in labels))}: the student would "
                    "run it twice, before rows are mixed and after",
                    way_out(labels, mixed),
                )


def check_memories(draft: Draft, problems: Problems) -> None:
    """No view is mixed of which a plugin remembers the student's answers as those of its images."""
    for plugin in draft.implementing("mix"):
        for memory in draft.enabled:
            if "answers" in trait(memory.cls, "remembers") and (mixed := [v for v in plugin.on if v in memory.on]):
                problems.add(
                    plugin.table.where("on"),
                    f"{plugin.label}: mixes {quoted(mixed)}, to whose images {memory.label} remembers the student's "
                    "answers, but those would be of no image alone",
                    f"leave {quoted(mixed)} out of `on`",
                )


def label_views(draft: Draft) -> dict[str, Plugin]:
    """The views that labelers look at in the student's own passes at each step, and who does."""
    teachers = draft.implementing("make_teacher", "step") if "step" in draft.timings else []
    if not any("student" in trait(teacher.cls, "teaches") for teacher in teachers):
        return {}
    apart = {view for one in draft.passes if one.model == "teacher" for view in one.views}
    readers = draft.implementing("label", "step") + draft.implementing("refine", "step")
    return {view: reader for reader in reversed(readers) for view in reader.on if view not in apart}


def student_passes(draft: Draft) -> list[list[str]]:
    """The views of each pass of the student; those of losses that no pass names go through one together."""
    passes = [one.views for one in draft.passes if one.model == "student"]
    asked = [view for plugin in draft.enabled if plugin.section == "loss" for view in plugin.on]
    return [*passes, [view for view in dict.fromkeys(asked) if not any(view in views for views in passes)]]


def way_out(labels: list[str], mixed: list[str]) -> str:
    """Passes with which each row runs as often as it must: mixed views apart, or the labels'."""
    if not set(labels) & set(mixed):
        return f"give what is mixed a pass of its own: [[pass]] views = {shown(mixed)}"
    return (
        f'give the labels a pass of their own: [[pass]] model = "teacher", views = {shown(labels)}, '
        'batch_norm = "batch", write_stats = false'
    )


def quoted(views: list[str]) -> str:
    """Names of views."""
    return listed(f"`{view}`" for view in views)
