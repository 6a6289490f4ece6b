"""What a student of the course needs beside the package: checks of the exercises' answers."""

from lstm_student.exercise import Exercise, check

__all__ = ["Exercise", "check"]
