"""The language of help and messages: that of `NLPKIT_LANG`, else that of the locale."""

import os
import re
import sys
from typing import Literal

Language = Literal["en", "zh"]
VARIABLES = ("NLPKIT_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is not empty counts
_LANG_CHINESE = 0x04  # the primary language of a Windows language identifier, in its lower ten bits


def language() -> Language:
    """Return the language to show; English where the terminal cannot show Chinese characters."""
    return "zh" if _wants_chinese() and _can_show("中", sys.stdout) and _can_show("中", sys.stderr) else "en"


def _wants_chinese() -> bool:
    for variable in VARIABLES:
        if value := os.environ.get(variable):
            # LANGUAGE is a list, such as zh_CN:en; zh_TW and zh_HK get simplified Chinese, too
            for name in value.split(":"):
                primary = re.split(r"[-_.@]", name)[0].lower()
                if primary in ("zh", "en", "c", "posix"):
                    return primary == "zh"
            return False
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF == _LANG_CHINESE)
    return False


def _can_show(text: str, stream: object) -> bool:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
