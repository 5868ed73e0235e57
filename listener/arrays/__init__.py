"""Arrays: numeric signals in and out."""
