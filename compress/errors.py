"""The one error of this stage."""


class CompressError(Exception):
    """Something the caller can mend: what is wrong, and in `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


AS_IT_IS = "the float file can be used as it is"  # where 8 bits do not help
