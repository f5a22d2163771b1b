"""Windows' own words in the languages that the model knows: what localised output looks like, and why nothing may read it."""

from __future__ import annotations

TEXTS = {
    "access_denied": {"en": "Access is denied.", "de": "Zugriff verweigert", "zh": "拒绝访问。"},
    "file_not_found": {
        "en": "The system cannot find the file specified.",
        "de": "Das System kann die angegebene Datei nicht finden.",
        "zh": "系统找不到指定的文件。",
    },
    "needs_elevation": {
        "en": "The requested operation requires elevation (Run as administrator).",
        "de": "Der angeforderte Vorgang erfordert erhöhte Rechte (Als Administrator ausführen).",
        "zh": "请求的操作需要提升(作为管理员运行)。",
    },
    "excluded_ports": {
        "en": "Protocol tcp Port Exclusion Ranges|Start Port|End Port|* - Administered port exclusions.",
        "de": "Protokoll tcp-Portausschlussbereiche|Startport|Endport|* - Verwaltete Portausschlüsse.",
        "zh": "协议 tcp 端口排除范围|开始端口|结束端口|* - 管理的端口排除。",
    },
}


def of(language: str, name: str) -> str:
    """A text in a language such as de-DE."""
    return TEXTS[name][language.partition("-")[0]]
