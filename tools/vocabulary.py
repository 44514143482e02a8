"""Add the words of the failure library's samples to the words that an outline keeps.

    python tools/vocabulary.py

`l4fast/vocabulary.txt` holds, one a line, what a collapsed bucket still shows. Words of the samples
must be in it: what the library tells a failure by then survives a collapse.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "l4fast"
TARGET = PACKAGE / "vocabulary.txt"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def sample_words() -> set[str]:
    """Return the words without a digit of every line that a packaged signature must match, in lower case."""
    found: set[str] = set()
    for path in sorted((PACKAGE / "signatures").glob("*.toml")):
        for signature in tomllib.loads(path.read_text()).values():
            # What stands above the tables tells of the whole file.
            for line in signature.get("matches", ()) if isinstance(signature, dict) else ():
                found |= {word.lower() for word in _WORD.findall(line) if not re.search(r"\d", word)}
    return {word for word in found if len(word) <= 32}


def main() -> None:
    """Write the union, sorted."""
    words = set(TARGET.read_text().split()) | sample_words()
    TARGET.write_text("".join(f"{word}\n" for word in sorted(words)))
    print(f"{TARGET.name}: {len(words)} words")


if __name__ == "__main__":
    main()
