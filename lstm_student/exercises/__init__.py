"""The exercises of each chapter: a module with EXERCISES, by number."""
