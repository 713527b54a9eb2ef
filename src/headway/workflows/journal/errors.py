"""What the journal refuses, in sentences."""

from __future__ import annotations


class JournalError(Exception):
    """Something that cannot be done with a run, as it stands."""


class NoSuchRun(JournalError):
    """No run has this id."""


class NotEnded(JournalError):
    """The run has not ended."""


class Finished(JournalError):
    """The run has finished: nothing of it failed that could run again."""


class NoSuchQuestion(JournalError):
    """Nothing is asked at this step."""


class Answered(JournalError):
    """The question has its answer."""


class TooLate(JournalError):
    """The time for an answer is over, or the run has ended."""


class KeyTaken(JournalError):
    """The key started a run of another workflow."""


class Pruned(JournalError):
    """The steps of the run were deleted."""


class LostRun(JournalError):
    """Another worker has claimed the run, or it was cancelled: nothing more is written here."""
