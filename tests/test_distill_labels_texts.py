"""Labels kept of texts: all of them, or the words alone."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distill import labels  # noqa: E402
from distill.config import Augment, Labels, Loss, Pieces, Train  # noqa: E402
from distill.data import Dataset  # noqa: E402
from distill.data.texts import Texts  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.students import create  # noqa: E402
from distill.train import Plan, accuracy, fit, predict  # noqa: E402

pytestmark = pytest.mark.train

ENGLISH = ("whisky", "tankard", "the quick brown fox", "over a lazy dog", "jumping")
GERMAN = ("Wirtshaus", "Bierkrug", "der schnelle Fuchs", "ein fauler Hund", "springend")
OPTIONS = {"rows": 1024, "orders": 12345}


def data() -> Texts:
    words = np.array([" " not in text for text in ENGLISH + GERMAN])
    return Texts(ENGLISH + GERMAN, np.arange(10) // 5, words, ("en", "de"), "train", "0" * 64)


def ask(texts: list[str]) -> np.ndarray:
    """A teacher that counts letters."""
    return np.array([[text.count("e"), len(text)] for text in texts], np.float32)


def keep(root: Path, of: str) -> labels.Kept:
    config = Labels(views=2, top_k=2, audit=0.5, of=of)  # type: ignore[arg-type]
    return labels.keep(ask, "a" * 64, data(), Pieces(), config, root)


def test_every_text_is_answered_as_it_is_cut(tmp_path: Path) -> None:
    from distill.pieces import TextViews

    kept, rows = keep(tmp_path, "all"), torch.arange(10)
    cut = TextViews(data(), Pieces()).view(1).examples(rows)
    assert np.array_equal(kept(1, rows, rows).numpy(), ask(cut))
    assert kept.audit.agreement == 1.0


def test_of_words_alone_the_others_have_no_answer(tmp_path: Path) -> None:
    kept, rows = keep(tmp_path, "words"), torch.arange(10)
    answers = kept(0, rows, rows)
    assert answers.isneginf().all(1).tolist() == (~data().words).tolist()
    whole = keep(tmp_path, "all")(0, rows, rows)
    assert torch.equal(answers[data().words], whole[data().words])


def test_a_share_of_them_is_asked_about_in_every_view(tmp_path: Path) -> None:
    config, rows = Labels(views=2, top_k=2, audit=0.5, of="words", share=0.6), torch.arange(10)
    kept = labels.keep(ask, "a" * 64, data(), Pieces(), config, tmp_path)
    first, second = (~kept(view, rows, rows).isneginf().all(1).numpy() for view in (0, 1))
    assert np.array_equal(first, second)
    assert 0 < first.sum() < data().words.sum()
    assert data().words[first].all()


def test_what_was_asked_for_is_in_the_key(tmp_path: Path) -> None:
    assert keep(tmp_path, "words").key != keep(tmp_path, "all").key


def test_pictures_have_no_words(tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8, 3), np.uint8)
    pictures = Dataset(images, np.zeros(4, np.int64), ("a",), "train", "0" * 64)
    with pytest.raises(DistillError, match="pictures"):
        labels.keep(ask, "a" * 64, pictures, Augment(), Labels(of="words"), tmp_path)


def plan(seed: int = 0) -> Plan:
    train = Train(40, 5, 0.02, warmup=0.1, weight_decay=0.0, optimizer="adam")
    return Plan(Loss("kd", temperature=1.0, ce=0.5, kd=0.5), Pieces(), train, seed, 2)


def taught(texts: list[str]) -> np.ndarray:
    """A teacher that knows these few: a capital letter is German."""
    german = np.array([any(c.isupper() for c in t) or "springend" in t for t in texts])
    return np.where(german[:, None], [[-3.0, 3.0]], [[3.0, -3.0]])


def test_a_few_texts_are_learnt_by_heart(tmp_path: Path) -> None:
    net = create("ngram", 2, None, OPTIONS)
    kept = labels.keep(
        taught, "a" * 64, data(), Pieces(), Labels(views=2, top_k=2, of="words"), tmp_path
    )
    fit(net, data(), data(), plan(), tmp_path / "fit", kept)
    assert accuracy(net, data()) == 1.0


def test_texts_of_all_lengths_are_predicted_in_their_order() -> None:
    torch.manual_seed(0)
    net = create("ngram", 2, None, OPTIONS)
    texts = [*ENGLISH, "", "a" * 300, *GERMAN]
    alone = np.concatenate([predict(net, [text]) for text in texts])
    assert np.allclose(predict(net, texts, batch=4), alone, atol=1e-5)


def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    calls = 0

    def dying(view: int, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 23:
            raise StopError
        return torch.full((len(rows), 2), -torch.inf)

    def asking(view: int, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return torch.full((len(rows), 2), -torch.inf)

    nets = []
    for name, answers in (("whole", asking), ("cut", dying)):
        torch.manual_seed(1)
        nets.append(create("ngram", 2, None, OPTIONS))
        try:
            fit(nets[-1], data(), data(), plan(), tmp_path / name, answers)
        except StopError:
            nets[-1] = create("ngram", 2, None, OPTIONS)
            fit(nets[-1], data(), data(), plan(), tmp_path / name, asking)
    first, second = (net.state_dict() for net in nets)
    assert all(torch.equal(first[name], second[name]) for name in first)
