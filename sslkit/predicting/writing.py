"""Rows as they are made: each batch's are out before the next one's images go through the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from .inputs import Inputs
from .keeping import Kept, begun, lost, made_by, resumed
from .predict import unreadable
from .predictor import Predictor
from .rows import Format

Done = Callable[[int], None]


@contextmanager
def kept(path: Path, name: str, form: Format, predictor: Predictor, inputs: Inputs, resume: bool) -> Iterator[Kept]:
    """A file that takes rows, new or gone on with. Raises `RunError`, as writing in the block does."""
    facts = made_by(predictor, name, form)
    made = (
        resumed(path, form, facts, inputs.items, predictor.batch) if resume else begun(path, form, facts, inputs.items)
    )
    try:
        yield made
        made.file.close()
    except OSError as error:
        raise lost(path, error) from error
    finally:
        with suppress(OSError):  # what did not fit would be tried again
            made.file.close()


def write(predictor: Predictor, form: Format, made: Kept, strict: bool, done: Done) -> bool:
    """Classify what is left to do; counts are kept in `made`, and told. Whether anybody took all of it.

    Raises `DataError` at an image that cannot be read where `strict`, all rows before it being written; what writing
    raises; and whatever a model raises.
    """
    made.file.flush()
    done(made.rows)
    with closing(predictor.answers(made.items)) as batches:  # type: ignore[type-var]
        for answers in batches:
            rows, errors = form.rows(answers)[made.skip :], answers.errors[made.skip :]
            bad = next((at for at, error in enumerate(errors) if error), None) if strict else None
            made.file.write(b"".join(rows[:bad]))
            made.file.flush()
            if bad is not None:
                raise unreadable(answers.paths[made.skip + bad], errors[bad])
            made.rows, made.failed, made.skip = made.rows + len(rows), made.failed + sum(map(bool, errors)), 0
            done(len(rows))
            if getattr(getattr(made.file, "raw", None), "gone", False):
                return False
    return True
