"""The one error family of the project. Every message says what, where, got, expected and the next step."""

from __future__ import annotations


class AssayError(Exception):
    """Base of every error a user can meet; the command line prints it without a traceback."""


class InputError(AssayError):
    """The user gave something that cannot be used (exit code 2)."""


class CannotCheckError(AssayError):
    """Something that should have been read could not be (exit code 4)."""


class WeightsError(CannotCheckError):
    """A weights file is missing, damaged, of another family, or its digest differs."""


class DiskFullError(CannotCheckError):
    """The disk or quota is full; what was already committed is kept."""
