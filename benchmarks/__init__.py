"""What the package takes in time and memory, beside other libraries: ``make bench``."""
