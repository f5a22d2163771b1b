"""Windows' own words in the languages that the model knows: what localised output looks like, and why nothing may read it."""

from __future__ import annotations

TEXTS = {
    "access_denied": {"en": "Access is denied.", "de": "Zugriff verweigert", "zh": "拒绝访问。"},
    "file_not_found": {
        "en": "The system cannot find the file specified.",
        "de": "Das System kann die angegebene Datei nicht finden.",
        "zh": "系统找不到指定的文件。",
    },
}


def of(language: str, name: str) -> str:
    """A text in a language such as de-DE."""
    return TEXTS[name][language.partition("-")[0]]
