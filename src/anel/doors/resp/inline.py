r"""Inline commands: one line of words, as people type them into telnet or redis-cli.

::

    SET greeting "hello\x20world"     blanks part words; "..." knows \n \r \t \b \a \xHH \" \\
    SET name 'it\'s me'               '...' knows only \'

Source: redis-cli's and redis-server's splitting of words (`sdssplitargs`), as observed.
"""

_BLANKS = b" \t\n\v\f\r"
_ESCAPES = {
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("b"): b"\b",
    ord("a"): b"\a",
}
_HEX = b"0123456789abcdefABCDEF"
_DOUBLE = ord('"')
_SINGLE = ord("'")
_BACKSLASH = ord("\\")


def split_words(line: bytes) -> list[bytes] | None:
    """Split a line into words; None when quotes are not closed, or not followed by a blank."""
    if b'"' not in line and b"'" not in line:
        return line.split()
    words: list[bytes] = []
    at = 0
    end = len(line)
    while True:
        while at < end and line[at] in _BLANKS:
            at += 1
        if at == end:
            return words
        word = bytearray()
        at = _read_word(line, at, word)
        if at < 0:
            return None
        words.append(bytes(word))


def _read_word(line: bytes, at: int, word: bytearray) -> int:
    """Read one word into `word`; give the offset after it, -1 when its quotes are wrong."""
    end = len(line)
    while at < end and line[at] not in _BLANKS:
        byte = line[at]
        if byte in (_DOUBLE, _SINGLE):
            read = _read_double if byte == _DOUBLE else _read_single
            at = read(line, at + 1, word)
            # Like Redis, a closing quote must be followed by a blank or the end.
            return at if at < 0 or at == end or line[at] in _BLANKS else -1
        word.append(byte)
        at += 1
    return at


def _read_single(line: bytes, at: int, word: bytearray) -> int:
    while at < len(line):
        if line[at] == _SINGLE:
            return at + 1
        if line[at : at + 2] == b"\\'":
            at += 1
        word.append(line[at])
        at += 1
    return -1


def _read_double(line: bytes, at: int, word: bytearray) -> int:
    end = len(line)
    while at < end:
        byte = line[at]
        if byte == _DOUBLE:
            return at + 1
        if byte != _BACKSLASH or at + 1 == end:
            word.append(byte)
            at += 1
        elif line[at + 1] == ord("x") and _is_hex(line[at + 2 : at + 4]):
            word.append(int(line[at + 2 : at + 4], 16))
            at += 4
        else:
            word += _ESCAPES.get(line[at + 1], line[at + 1 : at + 2])
            at += 2
    return -1


def _is_hex(digits: bytes) -> bool:
    return len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX
