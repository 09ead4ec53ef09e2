"""What all tasks share: texts in, tokenizing, windows, batches, training, evaluation, checkpoints."""
