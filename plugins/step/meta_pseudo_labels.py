"""Meta Pseudo Labels: a teacher that learns from how its pseudo-labels change the student on labeled images."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Batch, Forward, LossTerm, Step, View, global_mean, hookimpl
from sslkit.errors import RecipeError

from ..probabilities import sharpen

NAME = "[step] meta_pseudo_labels"


def improvement(before: Tensor, after: Tensor) -> Tensor:
    """CE_l(S_old) - CE_l(S_new): by how much one step on pseudo-labels made the student better on labeled images.

    Two scalars -> a scalar without a gradient. The sign is that of the theory (Pham et al. 2021, sec. 3 and appendix
    A): with R(y) the student's labeled loss after a step on labels y, the teacher's gradient is that of E_y[R(y)],
    which is E_y[R(y) grad log P(y)] = E_y[(R_old - R(y)) grad H(y, T)], as R_old, the same for all y, adds nothing to
    it. So the teacher descends improvement * H(y, T): it becomes surer of labels that helped. The common PyTorch
    version has the difference the other way round (kekmodel/MPL-pytorch, issue 6), and at 0255c62 detaches H besides:
    no feedback at all.
    """
    return (before - after).detach()


def feedback_rows(logits: Tensor, change: Tensor) -> Tensor:
    """The change times H(argmax T, T), by row: pushes the teacher to its labels, or away from them. (N, K), () -> (N,).

    Pham et al. 2021, sec. 3 and appendix A, with the most probable label in place of a drawn one. T learns by H alone.
    """
    return change.detach() * functional.cross_entropy(logits, logits.detach().argmax(1), reduction="none")


def consistency_rows(strong: Tensor, weak: Tensor, temperature: float, threshold: float) -> Tensor:
    """1(max q >= threshold) * H(q, softmax(strong)), q = softmax(weak / T), for each row: (N, K), (N, K) -> (N,).

    The teacher's own UDA loss (Pham et al. 2021, sec. 3.2; Xie et al. 2019). As in kekmodel/MPL-pytorch the
    threshold is on the sharpened answer. No gradient flows through q.
    """
    target = sharpen(weak.detach().softmax(1), temperature)
    kept = (target.amax(1) >= threshold).to(strong.dtype)
    return functional.cross_entropy(strong, target, reduction="none") * kept


def with_fresh_weights(network: nn.Module) -> nn.Module:
    """A copy with new initial weights, from torch's default generator, made on the CPU whichever device it was on.

    Layers draw theirs as torch has it (`reset_parameters`), then the model as its author has it (timm's
    `init_weights`). Raises `RecipeError` where layers are frozen: of these the weights are meant.
    """
    if not all(parameter.requires_grad for parameter in network.parameters()):
        raise RecipeError(
            f'{NAME}: `[model] freeze` keeps layers as they are, which fresh weights would lose; set teacher = "copy"'
        )
    twin = deepcopy(network).cpu()
    for module in twin.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    if callable(initialise := getattr(getattr(twin, "model", twin), "init_weights", None)):
        initialise()
    return twin


@dataclass(eq=False, kw_only=True)
class MetaPseudoLabels:
    """A teacher and a student learn together: the student from the teacher's hard labels, the teacher from the result.

    Pham et al. 2021 (Meta Pseudo Labels, arXiv 2003.10580), sec. 2 and 3. In each step

    1. the teacher answers labeled, weak and strong images in one pass;
    2. the student moves down H(argmax T(strong), S(strong)), and never sees a label;
    3. its loss on the labeled images is measured before and after, without gradient, noise or written statistics,
       always in float32;
    4. the teacher moves down CE(labeled) + uda_weight * UDA + feedback_weight * (before - after) * H(argmax T, T).

    The student is what is evaluated; a further generation without this step (`enabled = false`) finetunes it on labels.
    Passes of the `teacher` are as `[[pass]] model = "teacher"` says: give it `batch_norm = "batch"`, `write_stats =
    true` and `noise = true`. It has the student's optimizer and rate.

    Raises `RecipeError` where there are no unlabeled images, a view is missing, or a labeler makes a teacher.
    """

    about: ClassVar = ("student",)
    "A trait: the teacher was sure of something; another student gets another one."
    labeled: str = "labeled"
    "View of the labeled stream that the teacher learns, and the student is measured on."
    weak: str = "weak"
    "View of the unlabeled stream that the teacher's own consistency starts from."
    strong: str = "strong"
    "View of the same images that the teacher labels, and the student learns."
    uda_weight: Annotated[float, Ge(0)] = 8.0
    """Weight of the teacher's own consistency; the papers ramp it up, by `[[schedule]]` with
    `on = "meta_pseudo_labels.uda_weight"`."""
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.7
    "T that sharpens the teacher's weak answer in its consistency."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.6
    "Smallest top probability, sharpened, that is kept in its consistency."
    feedback_weight: Annotated[float, Ge(0)] = 1.0
    "Weight of what the teacher learns from the student."
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    "Share of the uniform distribution mixed into the teacher's labels; 0.15 in the paper."
    teacher: Literal["fresh", "copy"] = "fresh"
    "The teacher begins with initial weights of its own, or as the student does (where these were pretrained)."

    @hookimpl
    def begin(self) -> None:
        """An untrained teacher is sure of nothing."""
        self.sure_ = False

    @hookimpl
    def trainables(self, student: nn.Module) -> dict[str, nn.Module]:
        """The teacher."""
        return {"teacher": deepcopy(student) if self.teacher == "copy" else with_fresh_weights(student)}

    @hookimpl
    def train_step(self, step: Step, forward: Forward, state: Any) -> list[LossTerm]:
        """Move both; the four losses, for the log: the teacher's consistency once it was sure of any image."""
        labeled, truth = self._checked(step)
        answers = {name: forward(name, "teacher").logits for name in (self.labeled, self.weak, self.strong)}
        strong = answers[self.strong]
        if not strong.requires_grad:
            raise RecipeError(f"{NAME}: the teacher that a labeler makes does not learn; leave that labeler out")
        before = labeled_loss(state.student, labeled, truth)
        rows = functional.cross_entropy(forward(self.strong).logits, strong.detach().argmax(1), reduction="none")
        student = LossTerm(global_mean(rows), name="student")
        state.optimize([student])
        change = improvement(before, labeled_loss(state.student, labeled, truth))
        terms = self._teachers(answers, truth, change)
        state.optimize(terms, "teacher")
        # Asked only until then: to look at a number is to wait for the device.
        self.sure_ = self.sure_ or bool(terms[1].value > 0)
        return [student, *(term for term in terms if self.sure_ or term is not terms[1])]

    def state_dict(self) -> dict[str, bool]:
        """Whether the teacher was sure of any image yet."""
        return {"sure": self.sure_}

    def load_state_dict(self, state: dict[str, bool]) -> None:
        """What `state_dict` answered."""
        self.sure_ = bool(state["sure"])

    def _teachers(self, answers: dict[str, Tensor], truth: Tensor, change: Tensor) -> list[LossTerm]:
        """What the teacher moves down."""
        labels = functional.cross_entropy(
            answers[self.labeled], truth, reduction="none", label_smoothing=self.label_smoothing
        )
        uda = consistency_rows(answers[self.strong], answers[self.weak], self.temperature, self.threshold)
        feedback = feedback_rows(answers[self.strong], change)
        return [
            LossTerm(global_mean(labels), name="teacher.labeled"),
            LossTerm(global_mean(uda), self.uda_weight, "teacher.uda"),
            LossTerm(global_mean(feedback), self.feedback_weight, "teacher.feedback"),
        ]

    def _checked(self, step: Step) -> tuple[View, Tensor]:
        """The labeled view and its truth, once everything that a step needs is there."""
        if step.unlabeled is None:
            raise RecipeError(
                f'{NAME}: there are no unlabeled images to learn from; set `batch.unlabeled`, labels = "none"'
            )
        for name, batch in ((self.labeled, step.labeled), (self.weak, step.unlabeled), (self.strong, step.unlabeled)):
            _require(name, batch)
        assert step.labeled.truth is not None
        return step.labeled.views[self.labeled], step.labeled.truth


def _require(name: str, batch: Batch) -> None:
    """A view must be there. Views that no loss asks for are made where a [[pass]] names them."""
    if name not in batch.views:
        raise RecipeError(
            f"{NAME}: the {batch.stream} stream has no view `{name}` (it has {', '.join(batch.views) or 'none'}); "
            'declare it, and name it in a [[pass]] with model = "teacher"'
        )


@torch.no_grad()
def labeled_loss(student: Any, view: View, truth: Tensor) -> Tensor:
    """The student's cross-entropy on labeled images as it stands: batch statistics, no noise, nothing written."""
    student.set_mode(noise=False, batch_norm="batch", write_stats=False)
    return functional.cross_entropy(student(view.images).logits, truth)
