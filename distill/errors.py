"""The one error of this stage, and which of them tell of the run and not of a fault around it."""


class DistillError(Exception):
    """Something the caller can mend: what is wrong, and in `hint` what to do about it.

    `key` is the setting that is to blame, where it is known: ("student", "options", "width").
    """

    def __init__(self, message: str, hint: str = "", key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.hint, self.key = hint, key


class DivergedError(DistillError):
    """A training that was carried out and taught nothing: again it would end alike."""
