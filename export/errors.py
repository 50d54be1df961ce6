"""The one error of this stage."""


class ExportError(Exception):
    """Something the caller can mend: what is wrong, and in `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
