"""Finished models measured again: which weights, whether data fits, what metrics say."""
