"""Variables of the environment into a draft's values, and what is secret among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from loadtool.profile import environment, keys, secrets
from loadtool.profile.draft import Draft, put, texts
from loadtool.profile.environment import Origin, Piece
from loadtool.profile.secrets import MASK
from loadtool.profile.yaml_tree import Path

# Stand-ins for values that are not known yet, one of which suits nearly every key.
STAND_INS: Final = (
    "pending", "1", "1s", "1/s", "1%", "1KB", "1KB/s", "500", "127.0.0.1:1", "http://127.0.0.1:1", "/pending",
    "true", "spike", "latency", "127.0.0.1",
)  # fmt: skip

Span = tuple[int, int]
_KEPT: Final = (
    "undo is kept on disk, for `loadtool chaos recover`, and may hold no value of the environment: write "
    "$NAME or $${NAME} in a text, which the shell looks up when it runs"
)


def keep_sources(draft: Draft) -> None:
    """Numbers, flags and nulls where text is meant become the text that they were written as."""
    for path, source in draft.sources.items():
        if keys.fits_any(path, keys.TEXTS) and (source or not _means_absent(path)):
            put(draft.data, path, source)


def _means_absent(path: Path) -> bool:
    """Whether nothing after the colon means that the key is not given, rather than an empty text."""
    return keys.model_at(path[:-1]) is not None


def substitute(draft: Draft, variables: Mapping[str, str], *, pending: bool) -> None:
    """Replace every reference; unset ones are mistakes unless `setup:` may yet set them."""
    waiting = pending and bool(draft.data.get("setup"))
    for path, text in texts(draft.data):
        if path and str(path[0]).startswith("x-"):
            continue
        try:
            pieces = environment.split(text, variables) if "$" in text else (Piece(text),)
        except ValueError as e:
            draft.report(path, str(e))
            continue
        if keys.fits_any(path, keys.UNDOS) and any(piece.origin is not Origin.LITERAL for piece in pieces):
            draft.report(path, _KEPT)
            continue
        names = {piece.name: None for piece in pieces if piece.origin is Origin.UNSET}
        in_setup = path[0] == "setup"
        if waiting and not in_setup and any(piece.name for piece in pieces):
            draft.unsettled.add(path)
        for name in names:
            if waiting and not in_setup:
                draft.pending.add(name)
            else:
                hint = " or, for the shell, $${…}" if keys.fits_any(path, keys.COMMANDS) else ""
                draft.report(path, f"{name} is not set: set it, or write ${{{name}:-default}}{hint}")
        if names:
            draft.unset[path] = pieces
        template = keys.is_template(path)
        if "$" in text:
            put(draft.data, path, environment.join(pieces, template=template, unset=STAND_INS[0]))
        _keep_secret(draft, path, pieces)


def stand_in(draft: Draft, path: Path, choice: int) -> None:
    """Put the given stand-in where unset variables are in this text."""
    pieces = draft.unset[path]
    put(draft.data, path, environment.join(pieces, template=keys.is_template(path), unset=STAND_INS[choice]))


def _all(text: str) -> Span | None:
    return (0, len(text))


def _after_question_mark(text: str) -> Span | None:
    at = text.find("?")
    return (at, len(text)) if at >= 0 else None


def _userinfo_and_query(url: str) -> Span | None:
    userinfo, query = secrets.userinfo_span(url), _after_question_mark(url)
    return (userinfo[0], len(url)) if userinfo and query else userinfo or query


# Where a variable's value is a secret, and which stretch of the text that is. Whole sections, so that a text
# where a mapping belongs is masked in the message about it.
_SECRET_SPANS: Final[tuple[tuple[Sequence[tuple[str, ...]], Callable[[str], Span | None]], ...]] = (
    ((("headers",), ("headers", keys.REST)), _all),
    (tuple(("requests", keys.ANY, k) for k in ("headers", "query")), _all),
    (tuple(("requests", keys.ANY, k, keys.REST) for k in ("headers", "query")), _all),
    ((*keys.BODIES, *keys.REPLAY_BODIES), _all),
    (keys.COMMANDS, _all),
    ((*keys.PATHS, ("wait_for", "get")), _after_question_mark),
    (keys.PAGES, _userinfo_and_query),
    (keys.URLS, secrets.userinfo_span),
)


def _keep_secret(draft: Draft, path: Path, pieces: Sequence[Piece]) -> None:
    """Note what is secret in this text, and how to show it."""
    text = "".join(piece.text for piece in pieces)
    span = next((of(text) for patterns, of in _SECRET_SPANS if keys.fits_any(path, patterns)), None)
    shown = []
    for piece, start in _placed(pieces):
        if span is None or piece.origin is not Origin.ENVIRONMENT:
            shown.append(piece.text)
            continue
        first, last = max(span[0] - start, 0), max(min(span[1] - start, len(piece.text)), 0)
        if first < last:
            draft.secrets.add(piece.text[first:last])
            shown.append(piece.text[:first] + MASK + piece.text[last:])
        else:
            shown.append(piece.text)
    if any(piece.name for piece in pieces):
        draft.shown[path] = tuple(zip(shown, (bool(piece.name) for piece in pieces), strict=True))
    masked = _mask_literals(draft, path, text, "".join(shown))
    if masked != text:
        draft.masked[path] = masked


def _placed(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, int]]:
    start = 0
    for piece in pieces:
        yield piece, start
        start += len(piece.text)


def _mask_literals(draft: Draft, path: Path, text: str, shown: str) -> str:
    """How to show a text that is secret by its place, wherever its value came from."""
    key = str(path[-1]) if path else ""
    if keys.fits_any(path, keys.HEADERS) and secrets.is_secret_header(key):
        if "{{" not in text:
            draft.secrets.update(secrets.header_secrets(text))
        return secrets.masked_header(text)
    if keys.fits_any(path, keys.URLS) and (span := secrets.userinfo_span(text)):
        draft.secrets.update(secrets.userinfo_secrets(text[slice(*span)]))
        return text[: span[0]] + MASK + text[span[1] :]
    in_message = keys.fits_any(path, (*keys.BODIES, *keys.QUERIES))
    if in_message and secrets.is_secret_key(key) and text and "{{" not in text:
        if len(text) >= 6:  # shorter ones are masked here, and not looked for elsewhere
            draft.secrets.add(text)
        return MASK
    return shown
