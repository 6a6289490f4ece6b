"""The long grids of the book, one module each, and what runs them: see `sweep`."""
