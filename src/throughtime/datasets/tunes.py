"""Twenty-six tunes in the public domain, for the demo of composing and the tests."""

import re
from dataclasses import replace
from importlib import resources

from throughtime.data.music import Piece, read_abc

__all__ = ["folk_tunes"]


def folk_tunes() -> list[Piece]:
    """Songs and dances that everybody may use, each with its style: "even" (4/4), "jig" (6/8) or "waltz" (3/4).

    All are well over a century old; the project wrote them down itself, from memory.

    Raises:
        MissingExtraError: symusic is not installed.

    >>> [tune.name for tune in folk_tunes() if tune.style == "waltz"][:2]
    ['Clementine', 'O du lieber Augustin']
    """
    text = resources.files(__package__).joinpath("files", "folk_tunes.abc").read_text(encoding="utf-8")
    styles = re.findall(r"(?m)^S:(\w+)$", text)
    return [replace(tune, style=style) for tune, style in zip(read_abc(text), styles, strict=True)]
