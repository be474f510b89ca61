"""Tagged sentences in files of every kind that people have.

any other ending   columns, see `conll`
.jsonl, .ndjson    an object a line: {"tokens": [...], "tags": [...]}, or {"text": "...", "entities": [...]} where an
                   entity is {"start": 0, "end": 3, "label": "PER"} or [0, 3, "PER"] and counts characters
.csv, .tsv         with a header: columns `tokens` and `tags`, a sentence a row, parted by blanks; or `token` and `tag`,
                   a token a row, with a column `sentence` that changes from one to the next or is empty within one,
                   or an empty line between sentences. A .tsv without these names is read as columns.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from throughtime.data.text.conll import TaggedSentence, read_conll
from throughtime.data.text.files import check_encodable, check_text_file, numbered_lines
from throughtime.data.text.records import Record, kind_of, records
from throughtime.data.text.tokens import Tokenizer
from throughtime.errors import DataError

__all__ = ["read_tagged", "read_untagged"]

# Names of columns and fields, the first of each the one that messages say.
_TOKEN, _TAG = ("token", "word"), ("tag", "label", "ner_tag", "ner")
_TOKENS, _TAGS = ("tokens", "words", "sentence", "text"), ("tags", "labels", "ner_tags")
_SENTENCE = ("sentence", "sentence #", "sentence_id", "sentence id", "sent_id")
_HOW = "name the columns token and tag (a token a row) or tokens and tags (a sentence a row)"


class _Columns(NamedTuple):
    """Where a table keeps what is asked for."""

    words: str
    tags: str
    sentence: str | None
    whole: bool
    """A sentence a row."""


def read_tagged(path: str | os.PathLike[str], *, rule: str = "words") -> Iterator[TaggedSentence]:
    """The sentences of a file, one after another, so that it may be larger than memory; `.gz`, `.xz`, `.bz2` too.

    Args:
        rule: how the texts of `{"text": ..., "entities": ...}` are cut into tokens, see `tokens`.

    Raises:
        DataError: what `read_conll` and `records` say of files; fields that are not there or of another kind, another
            number of tags than tokens, entities that overlap or do not begin and end with a token. The message names
            the line.
    """
    file = Path(path)
    check_text_file(file)
    kind = kind_of(file)
    if kind == "jsonl":
        return _from_objects(file, Tokenizer(rule))
    if kind == "csv" or (kind == "tsv" and _has_header(file)):
        return _from_rows(file)
    return read_conll(file)


def read_untagged(path: str | os.PathLike[str]) -> Iterator[str | list[str]]:
    """Texts, or lists of tokens, of a file: of JSON Lines the field `text`, else `tokens`; of CSV and TSV the column
    `text`; of any other file its lines, empty ones too.

    Raises:
        DataError: what `records` says of files; a field that is not there or no text, or half of a surrogate pair.
    """
    file = Path(path)
    check_text_file(file)
    if not kind_of(file):
        return (line for _, line in numbered_lines(file))
    return _texts(file)


def _texts(file: Path) -> Iterator[str | list[str]]:
    for record in records(file):
        where = f"{file}: line {record.line}"
        value: Any = record.fields.get("text", record.fields.get("tokens"))
        if not isinstance(value, str) and not _is_words(value):
            raise DataError(
                f"{where}: expected text in a field 'text', or a list of it in 'tokens', got {_fields(record)}; "
                "name the field so"
            )
        check_encodable(value if isinstance(value, str) else " ".join(value), where)
        yield value


def _from_objects(file: Path, tokenizer: Tokenizer) -> Iterator[TaggedSentence]:
    for record in records(file):
        fields, where = record.fields, f"{file}: line {record.line}"
        if "tokens" in fields and "tags" in fields:
            tokens, tags = fields["tokens"], fields["tags"]
            for name, value in (("tokens", tokens), ("tags", tags)):
                if not _is_words(value):
                    raise DataError(f"{where}: expected {name} as a list of text, got {value!r:.60}; write names")
            sentence = _checked(where, tokens, tags, record.line)
        elif isinstance(fields.get("text"), str) and isinstance(fields.get("entities"), list):
            sentence = _from_text(where, fields["text"], fields["entities"], tokenizer, record.line)
        else:
            raise DataError(
                f"{where}: expected tokens and tags, or text and entities, got {_fields(record)}; "
                'write {"tokens": [...], "tags": [...]}'
            )
        if sentence.tokens:
            yield sentence


def _from_text(where: str, text: str, given: Sequence[Any], tokenizer: Tokenizer, line: int) -> TaggedSentence:
    """A text and its entities as tokens with tags in BIO."""
    tokens = tokenizer(text)
    first = {token.start: number for number, token in enumerate(tokens)}
    last = {token.end: number for number, token in enumerate(tokens)}
    tags = ["O"] * len(tokens)
    for one in given:
        start, end, label = _entity(where, text, one)
        if start not in first or end not in last:
            raise DataError(
                f"{where}: expected entities that begin and end with a token of the rule {tokenizer.rule!r}, got "
                f"{text[start:end]!r} at {start} in {text[max(start - 15, 0) : end + 15]!r}; "
                "correct the place or give another rule"
            )
        inside = slice(first[start], last[end] + 1)
        if set(tags[inside]) != {"O"}:
            raise DataError(
                f"{where}: expected entities that do not overlap, got {text[start:end]!r} at {start} in another one; "
                "drop one of the two"
            )
        tags[inside] = [f"B-{label}", *[f"I-{label}"] * (last[end] - first[start])]
    return TaggedSentence([token.text for token in tokens], tags, line, one_line=True)


def _entity(where: str, text: str, given: Any) -> tuple[int, int, str]:
    """Start, end and label, without blanks at either end."""
    found: Any = [given.get(name) for name in ("start", "end", "label")] if isinstance(given, Mapping) else given
    if not isinstance(found, Sequence) or [type(part) for part in found] != [int, int, str] or not found[2]:
        raise DataError(
            f'{where}: expected an entity as {{"start": 0, "end": 3, "label": "PER"}} or [0, 3, "PER"], got '
            f"{given!r:.60}; write it so"
        )
    start, end, label = found
    piece = text[start:end]
    if not 0 <= start < end <= len(text) or not piece.strip():
        raise DataError(
            f"{where}: expected an entity within the {len(text)} characters of the text, got {start} to {end}; "
            "count characters from 0, the end not included"
        )
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()), label


def _from_rows(file: Path) -> Iterator[TaggedSentence]:
    columns: _Columns | None = None
    open_at, now = 0, ""
    tokens: list[str] = []
    tags: list[str] = []
    for record in records(file, blank_lines=True):
        where = f"{file}: line {record.line}"
        if columns is None and record.fields:
            columns = _columns_of(record.fields)
            if columns is None:
                raise DataError(f"{file}: expected columns token and tag, got {_fields(record)}; {_HOW}")
        if columns is not None and columns.whole and record.fields:
            words, own = record.fields[columns.words].split(), record.fields[columns.tags].split()
            if words or own:
                yield _checked(where, words, own, record.line)
            continue
        if columns is not None and record.fields and columns.sentence:
            here = record.fields[columns.sentence].strip()
            begins = bool(here) and here != now
            now = here or now
        else:
            begins = not record.fields
        if begins and tokens:
            yield TaggedSentence(tokens, tags, open_at)
            tokens, tags = [], []
        if columns is None or not record.fields:
            continue
        token, tag = record.fields[columns.words].strip(), record.fields[columns.tags].strip()
        if not token or not tag:
            raise DataError(
                f"{where}: expected a token and its tag, got {token!r} and {tag!r}; fill both or drop the row"
            )
        open_at = open_at if tokens else record.line
        tokens.append(token)
        tags.append(tag)
    if tokens:
        yield TaggedSentence(tokens, tags, open_at)


def _columns_of(names: Iterable[str]) -> _Columns | None:
    """None where they do not say."""
    by = {name.strip().lower(): name for name in names}

    def among(known: Sequence[str]) -> str | None:
        return next((by[name] for name in known if name in by), None)

    word, tag = among(_TOKEN), among(_TAG)
    if word is not None and tag is not None:
        return _Columns(word, tag, among(_SENTENCE), False)
    words, tags = among(_TOKENS), among(_TAGS)
    return None if words is None or tags is None else _Columns(words, tags, None, True)


def _has_header(file: Path) -> bool:
    line = next((line for _, line in numbered_lines(file) if line.strip()), "")
    return _columns_of(line.split("\t")) is not None


def _checked(where: str, tokens: list[str], tags: list[str], line: int) -> TaggedSentence:
    if len(tokens) != len(tags):
        raise DataError(f"{where}: expected a tag for each of {len(tokens)} tokens, got {len(tags)}; add or drop one")
    if "" in tokens:
        raise DataError(f"{where}: expected tokens that are not empty, got '' as number {tokens.index('')}; drop it")
    return TaggedSentence(tokens, tags, line, one_line=True)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _fields(record: Record) -> str:
    return ", ".join(repr(name) for name in record.fields) or "none"
