"""The recipe that these tests are about: 3 classes, 8 pixels, two generations of four steps."""

from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "resume" / "stateful.py"

BASE = f"""
labels = "pool"
steps = 4
batch = {{ labeled = 6, unlabeled = 10 }}
save_every = 2
evaluate_every = 2
log_every = 1
workers = 0
label_batch = 16
baseline = false
tracker = [{{ use = "jsonl" }}]

[data]
use = "{PLUGINS}:Blobs"

[model]
name = "test_resnet"
size = 8

[optimizer]
rate = 0.05

[views.labeled]
stream = "labeled"
[views.unlabeled]
stream = "unlabeled"

[[noise]]
use = "flip_crop"
pad = 1

[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"

[[loss]]
name = "supervised"
use = "cross_entropy"
on = "labeled"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"

[[generation]]
[[generation]]
"""
"Labels of the pool; a test's own tables are laid over it."
