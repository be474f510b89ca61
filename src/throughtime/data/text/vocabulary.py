"""Symbols and their ids: characters, words or anything else that text is cut into."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from throughtime.errors import ArgumentError, ArgumentTypeError

__all__ = ["Vocabulary"]


class Vocabulary:
    """Symbols in the order of their ids.

    Args:
        symbols: distinct; the first has id 0.
        unknown: the one of them that stands for whatever is not among them; None where there is none.

    Raises:
        ArgumentTypeError: a symbol is no text.
        ArgumentError: a symbol twice, or an `unknown` that is not among them.

    >>> vocabulary = Vocabulary.build({"b": 2, "a": 5, "c": 2}, reserved=("<unk>",), unknown="<unk>")
    >>> list(vocabulary), vocabulary.ids(["a", "?"])
    (['<unk>', 'a', 'b', 'c'], [1, 0])
    """

    def __init__(self, symbols: Sequence[str], *, unknown: str | None = None) -> None:
        self.symbols = tuple(symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        for i, symbol in enumerate(self.symbols):
            if not isinstance(symbol, str):
                raise ArgumentTypeError(f"Vocabulary: expected text as symbols, got {symbol!r}; pass str")
            if self._ids[symbol] != i:
                raise ArgumentError(f"Vocabulary: expected each symbol once, got {symbol!r} again; leave it out")
        if unknown is not None and unknown not in self._ids:
            raise ArgumentError(f"Vocabulary: expected unknown to be one of the symbols, got {unknown!r}; add it")
        self.unknown = unknown

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int],
        *,
        reserved: Sequence[str] = (),
        unknown: str | None = None,
        size: int | None = None,
        min_count: int = 1,
    ) -> "Vocabulary":
        """The most frequent symbols, the most frequent first; of equally frequent ones the order is that of the text.

        Args:
            counts: how often each symbol occurs.
            reserved: symbols that come first whatever their count, such as the unknown one.
            unknown: see the class; one of `reserved`.
            size: at most so many besides the reserved ones; None for all.
            min_count: rarer ones are left out.
        """
        kept = [symbol for symbol, n in counts.items() if n >= min_count and symbol not in reserved]
        kept.sort(key=lambda symbol: (-counts[symbol], symbol))
        return cls((*reserved, *kept[:size]), unknown=unknown)

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __getitem__(self, symbol: str) -> int:
        """The id of a symbol that is there."""
        return self._ids[symbol]

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """The id of each symbol, the unknown one's where it is not there.

        Raises:
            ArgumentError: a symbol is not there and there is no unknown one.
        """
        if self.unknown is not None:
            other = self._ids[self.unknown]
            return [self._ids.get(symbol, other) for symbol in symbols]
        try:
            return [self._ids[symbol] for symbol in symbols]
        except KeyError as error:
            raise ArgumentError(
                f"Vocabulary: expected symbols that are known, got {error.args[0]!r}; "
                "build it with an unknown symbol, or from data that have this one"
            ) from error

    def to_json(self) -> dict[str, Any]:
        """What a model folder keeps."""
        return {"symbols": list(self.symbols), "unknown": self.unknown}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Vocabulary":
        """The reverse of `to_json`; raises what the class raises."""
        return cls(list(fields["symbols"]), unknown=fields["unknown"])
