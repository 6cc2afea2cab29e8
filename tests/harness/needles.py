"""Looks for secrets where none may rest: every way of writing each of them, in every file, table and answer."""

import base64
import dataclasses
import pathlib
import re
import sqlite3


@dataclasses.dataclass(frozen=True)
class Needle:
    name: str
    forms: tuple  # ways of writing it, as bytes
    digits: str = ""  # a short code: found only where no longer number surrounds it, and as a number in a table


def secret(name, text):
    """A long secret: any of its usual spellings is a find."""
    raw = text.encode()
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    for decode in (bytes.fromhex, lambda t: base64.urlsafe_b64decode(t + "=" * (-len(t) % 4))):
        try:
            inner = decode(text)
        except ValueError:
            continue
        if len(inner) >= 16:
            forms.add(inner)
    return Needle(name, tuple(f.rstrip(b"=") for f in forms))


def totp(name, base32):
    raw = base64.b32decode(base32)
    forms = {base32.encode(), base32.lower().encode(), raw, raw.hex().encode(), raw.hex().upper().encode(),
             base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    return Needle(name, tuple(forms))


def code(name, digits):
    return Needle(name, (), digits)


def in_bytes(needle, data):
    """Whether `data` holds the needle. Digits count when they stand alone: not within a longer number, an id or the
    fraction of a second."""
    if any(form in data for form in needle.forms):
        return True
    if needle.digits:
        return re.search(rb"(?<![0-9A-Za-z.+-])" + needle.digits.encode() + rb"(?![0-9A-Za-z])", data) is not None
    return False


def in_cell(needle, value):
    if isinstance(value, int):
        return bool(needle.digits) and value == int(needle.digits) and value > 99_999
    data = value.encode() if isinstance(value, str) else value
    if not isinstance(data, bytes):
        return False
    if needle.digits and data == needle.digits.encode():
        return True
    return in_bytes(needle, data)


def search_files(folder, needles):
    """(file, needle) for each find below the folder: the bytes of every file, then every cell of every database."""
    found = []
    files = [p for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()]
    assert files, f"nothing to search below {folder}"
    for path in files:
        if not path.exists():
            continue  # reading a database tidied its companions away, after they were read or emptied into it
        data = path.read_bytes()
        found += [(path.name, n.name) for n in needles if in_bytes(n, data)]
        if data.startswith(b"SQLite format 3"):
            found += search_database(path, needles)
    return sorted(set(found))


def search_database(path, needles):
    found = []
    database = sqlite3.connect(path)
    try:
        tables = [r[0] for r in database.execute("select name from sqlite_master where type='table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                found += [(f"{path.name}:{table}", n.name) for n in needles for v in row if in_cell(n, v)]
    finally:
        database.close()
    return found


def search_text(where, text, needles):
    return [(where, n.name) for n in needles if in_bytes(n, text.encode())]
