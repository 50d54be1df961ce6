"""The names of languages."""

from __future__ import annotations

import re

from zoo.tasks.text_classification import languages


def test_every_two_letter_code_has_one_name() -> None:
    assert len(languages.NAMES) == 183
    assert len(set(languages.NAMES.values())) == 183
    assert all(re.fullmatch("[a-z]{2}", code) for code in languages.NAMES)
    assert languages.named("nb") == "Norwegian Bokmål (nb)"
    assert languages.named("spam") == "spam"
