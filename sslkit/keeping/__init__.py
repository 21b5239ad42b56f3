"""What keeps a run from harm: one process at a time, a full disk, pauses, going on where it was."""
