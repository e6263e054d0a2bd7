"""A second reader of rating files, written from the rules of README.md alone.

`read(data)` gives (user, item, rating) of every line of a file in order, or raises `Refused`. It is slow,
and says little of what is wrong: it is there to be held against the first.
"""

import json
import re
import struct
import sys


class Refused(Exception):
    """The file is no list of ratings, or a line of it is none."""


KNOWN = {
    "user": """userid user uid useridx userindex users customerid customer custid cust reviewerid listenerid
        listener memberid member visitorid sessionid profileid accountid playerid personid person clientid
        client buyerid readerid reader viewerid viewer subscriberid steamid msno username login u""".split(),
    "item": """itemid item iid itemidx itemindex items movieid movie filmid film artistid artist trackid songid
        asin parentasin isbn bookid book productid product businessid gameid game appid animeid anime recipeid
        jokeid joke articleid article newsid videoid video showid show albumid album beerid beer restaurantid
        placeid poiid locationid venueid adid sku stockcode goodsid listingid hotelid courseid episodeid
        podcastid song track title movietitle booktitle artistname trackname itemname productname i""".split(),
    "rating": """rating ratings score overall stars star weight plays playcount playscount listens listencount
        listeningcount count counts value bookrating movierating userrating rate minutes hours playtime
        playtimeforever hoursplayed seconds strength preference interactions interaction views clicks quantity
        reviewoverall isread target label r""".split(),
    "time": """timestamp unixtime unixtimestamp unixreviewtime ts time timestamps epoch ratingtimestamp ratedat
        createdat datetime date eventtime reviewtime t""".split(),
}
ROLES = list(KNOWN)
BLANK = " \t\n\r\x0c"
DELIMITERS = ["::", "\t", ",", ";", "|", " "]


def normalised(name):
    return "".join(c for c in name if c not in "_-.:#" and not c.isspace()).lower()


def find(role, names):
    names = [normalised(name) for name in names]
    return next((names.index(known) for known in KNOWN[role] if known in names), None)


def single(value):
    """A number as single precision has it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def number(text):
    """A decimal number as a single, or None."""
    text = text.strip()
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        try:
            value = single(float(text))
        except OverflowError:
            return None
        return value if abs(value) != float("inf") else None
    return None


def is_number(text):
    return number(text) is not None or re.fullmatch(r"[+-]?(inf|infinity|nan)", text.strip(), re.I)


def characters(data):
    """The text of a file, its lines ended by line feeds."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            data = data[len(mark) :]
            break
    else:
        encoding = None
        if b"\0" in data:
            raise Refused("NUL bytes")
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding and encoding != "utf-8":
            raise Refused("not text") from error
        if encoding or not data[: error.start].isascii():
            # Damaged UTF-8, which no id may have.
            text = data.decode("utf-8", "surrogateescape")
        else:
            # Windows-1252; what it leaves open is as in Latin-1.
            text = "".join(bytes([b]).decode("cp1252", "replace").replace("\ufffd", chr(b)) for b in data)
    alone = len(re.findall(r"\r(?!\n)", text))
    if alone > text.count("\n"):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"(?m)^\ufeff", "", text)


def fields(line, delimiter):
    return re.split("[ \t]+", line.strip(" \t")) if delimiter == " " else line.split(delimiter)


def cut(text, delimiter, quotes, width=0, rating=None, trims=False):
    """Records of (first line, raw, fields) in order; blank lines are none."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at].removesuffix("\r")
        if not line.strip(BLANK):
            at += 1
            continue
        if not quotes or len(delimiter) > 1 or delimiter == " " or '"' not in line:
            record = fields(line, delimiter)
            yield at, line, record[:1] + [f.lstrip(" ") for f in record[1:]] if trims else record
            at += 1
            continue
        record, still_open = quoted(line, delimiter, trims)
        used = 1
        if still_open and width:
            used, record = longer(lines, at, delimiter, record, width, rating, trims)
        yield at, line, record
        at += used


def longer(lines, at, delimiter, record, width, rating, trims):
    """A record over several lines, where it is whole and not each of its lines is by itself."""

    def whole(fields):
        full = len(fields) >= width and not any(fields[width:])
        return full and (rating is None or is_number(fields[rating]))

    for end in range(at + 2, len(lines) + 1):
        joined = "\n".join(lines[at:end]).removesuffix("\r")
        several, still_open = quoted(joined, delimiter, trims, over_lines=True)
        if several is None:
            break
        if not still_open:
            each = [quoted(line.removesuffix("\r"), delimiter, trims)[0] for line in lines[at:end]]
            alone = all(map(whole, each))
            if whole(several) and not alone:
                return end - at, several
            break
    return 1, record


def quoted(line, delimiter, trims, over_lines=False):
    """The fields of a record, and whether a quote that opens one is not closed before the end.

    Over several lines a field that begins with a quote has to be a quoted one: else there is no record.
    """
    found, at, still_open = [], 0, False
    while True:
        if trims and found:
            at += len(line[at:]) - len(line[at:].lstrip(" "))
        match = re.compile(r'"((?:[^"]|"")*)"(?=%s|\r?\n|\r?$|$)' % re.escape(delimiter), re.S).match(line, at)
        if match:
            found.append(match[1].replace('""', '"'))
            end = match.end()
        else:
            begins = line.startswith('"', at)
            opened = begins and not re.compile(r'"(?:[^"]|"")*"(?!")', re.S).match(line, at)
            if begins and over_lines:
                return (found, True) if opened else (None, False)
            still_open |= opened
            end = line.find(delimiter, at)
            end = len(line) if end < 0 else end
            found.append(line[at:end])
        if not line.startswith(delimiter, end):
            return found, still_open
        at = end + len(delimiter)


def count(record):
    """Fields up to the last that is not empty, but two at least where there are two."""
    full = [at + 1 for at, field in enumerate(record) if field.strip()]
    return max(full[-1] if full else 0, min(len(record), 2))


def has_quotes(delimiter, sample):
    """Whether fields may be quoted: between tabs and bars a file has to show it."""
    if len(delimiter) > 1 or delimiter == " ":
        return False
    if delimiter not in "\t|":
        return True
    rows = [line.split(delimiter) for line in sample]
    good = [[re.fullmatch(r'"((?:[^"]|"")*)"', field, re.S) for field in row] for row in rows]
    for row, matches in zip(rows, good):
        if any(field.startswith('"') and not match for field, match in zip(row, matches)):
            return False
    doubled = any(match and '""' in match[1] for matches in good for match in matches)
    width = min(map(len, rows))
    columns = len(rows) > 1 and any(all(m[c] for m in good) for c in range(width))
    return doubled or columns


def sampled(sample, delimiter):
    """The first records, and whether quotes count in them."""
    quotes = has_quotes(delimiter, sample)
    text = "\n".join(sample)
    rows = [record for _, _, record in cut(text, delimiter, quotes)][:200]
    if rows:
        rows = [record for _, _, record in cut(text, delimiter, quotes, len(rows[0]))][:200]
    return rows, quotes


def detect(sample):
    """The delimiter."""
    counts = {d: [count(record) for record in sampled(sample, d)[0]] for d in DELIMITERS}
    even = {d: c[0] for d, c in counts.items() if c and min(c) == max(c) and c[0] >= 2}
    for sure in ("::", "\t"):
        if sure in even:
            return sure
    best = max((d for d in even if d != " "), key=even.get, default=" " if " " in even else None)
    if best is None:
        least = {d: min(c, default=0) for d, c in counts.items()}
        best = max(least, key=least.get)
        if least[best] < 2:
            best = next((d for d in DELIMITERS if len(fields(sample[0], d)) > 1), None)
    if best is None:
        raise Refused("no delimiter")
    return best


def looks_like_header(rows, rating=2):
    first, rest = rows[0], rows[1:]
    if find("user", first) is not None and find("item", first) is not None:
        return True
    below = lambda c: [row[c] for row in rest if c < len(row)]
    numbers = lambda c: rest and all(c < len(row) and is_number(row[c]) for row in rest)
    if len(first) > rating:
        return not is_number(first[rating]) and bool(numbers(rating))
    digit = lambda text: any(c in "0123456789" for c in text)
    named = any(
        at is not None and len(first[at]) > 2 and len(rest) > 1 and first[at] not in below(at)
        for at in (find("user", first), find("item", first))
    )
    columns = range(len(first))
    numeric = all(not is_number(first[c]) and numbers(c) for c in columns)
    numbered = len(rest) > 1 and all(
        not digit(first[c]) and all(map(digit, below(c))) for c in columns
    )
    return named or bool(columns) and (numeric or numbered)


def by_name(header, rows):
    columns = [find(role, header) for role in ROLES]
    if columns[0] is None and columns[1] is None:
        return [c if c < len(header) else None for c in range(4)]
    for side in (0, 1):
        if columns[side] is None:
            left = [c for c in range(len(header)) if c not in columns]
            ids = [c for c in left if normalised(header[c]).endswith("id")]
            one = left if len(left) == 1 else ids
            if len(one) != 1:
                raise Refused("which column is it?")
            columns[side] = one[0]
    free = [c for c in range(len(header)) if c not in columns]
    if columns[2] is None and columns[:2] == [0, 1] and free == [2] and rows:
        if all(len(row) > 2 and is_number(row[2]) for row in rows):
            columns[2] = 2
    return columns


def looks_grouped(rows):
    """Whole numbers of which none comes twice in a line, in lines of different lengths with long ones."""
    counts = [count(row) for row in rows]
    whole = all(
        re.fullmatch(r"\d{1,18}", field, re.ASCII)
        for row, n in zip(rows, counts)
        for field in row[:n]
    )
    once = all(len(set(row[1:n])) == n - 1 for row, n in zip(rows, counts))
    usual = max(counts.count(n) for n in counts)
    return whole and once and len(rows) > 2 and max(counts) > 4 and usual * 4 <= 3 * len(rows)


def one(user, item, rating):
    value = 1.0 if rating is None else number(rating)
    if value is None:
        raise Refused(f"{rating!r} is no number")
    if not user or not item:
        raise Refused("an empty id")
    if re.search("[\udc80-\udcff]", user + item):
        raise Refused("an id that is not text")
    return user, item, value


def table(lines):
    """A table with a delimiter, or users with their items."""
    sample = [line.removesuffix("\r") for line in lines if line.strip(BLANK)][:201]
    skip, named = 0, None
    if len(sample) > 1 and re.match(r"(?i)sep=.$", sample[0]):
        skip, named = 1, sample[0][4]
    remark = None
    while skip < len(sample) - 1 and re.match(r"\s*[#%]([ \t#%]|$)", sample[skip]):
        remark, skip = sample[skip], skip + 1
    sample = sample[skip:]
    delimiter = named or detect(sample)
    rows, quotes = sampled(sample, delimiter)
    apart = len(delimiter) == 1 and delimiter not in " \t"
    trims = apart and any(len(row) > 1 for row in rows)
    trims &= all(field.startswith(" ") for row in rows for field in row[1:])
    rows = [[field.strip() for field in row] for row in rows]
    if remark is not None:
        names = [f.strip() for f in fields(remark.lstrip(BLANK)[1:].lstrip(BLANK), delimiter)]
        known = find("user", names) is not None and find("item", names) is not None
        if known and len(names) == len(rows[0]):
            rows.insert(0, names)
            skip -= 1
    width = len(rows[0])
    grouped = looks_grouped(rows)
    header = not grouped and looks_like_header(rows)
    if grouped:
        columns = [0, 1, None, None]
    elif header:
        columns = by_name(rows[0], rows[1:])
    else:
        columns = [c if c < width else None for c in range(4)]
    user, item, rating, _ = columns
    skip += header
    needed = 1 + max(c for c in columns if c is not None)
    found = []
    text = "\n".join(lines)
    for at, (_, _, record) in enumerate(cut(text, delimiter, quotes, 0 if grouped else width, rating, trims)):
        if at < skip:
            continue
        if grouped:
            items = record[1:-1] + [field for field in record[-1:] if field and len(record) > 1]
            found += [one(record[0], name, None) for name in items]
            continue
        if len(record) < needed or any(record[width:]):
            raise Refused(f"{len(record)} fields")
        found.append(one(record[user], record[item], None if rating is None else record[rating]))
    return found


def json_lines(lines):
    """An object a line, or an array."""

    def text(value):
        if isinstance(value, (dict, list)):
            raise Refused("no value")
        return {None: "", True: "1", False: "0"}.get(value, value) if not isinstance(value, str) else value

    rows = []
    for line in lines:
        if line.strip(BLANK):
            try:
                pairs = json.loads(line, object_pairs_hook=list, parse_int=str, parse_float=str)
            except ValueError as error:
                raise Refused(str(error)) from error
            rows.append(pairs)
    objects = lines[0].lstrip(BLANK).startswith("{")
    if objects:
        keys = list(dict.fromkeys(key for row in rows[:201] for key, _ in row))
        records = [dict(row) for row in rows]
        sample = [[str(record.get(key, "")) for key in keys] for record in records]
        user, item, rating, _ = by_name(keys, sample)
        columns = [keys[c] if c is not None else None for c in (user, item, rating)]
        values = [[text(record.get(c, "")) for c in columns if c is not None] for record in records]
    else:
        values = [[text(value) for value in row] for row in rows]
    return [one(row[0], row[1], row[2] if len(row) > 2 else None) for row in values]


def matrix_market(lines):
    """Rows are users, columns items."""
    kind = lines[0].lower().split()[1:]
    values = kind[2] != "pattern"
    body = [line for line in lines[1:] if line.strip(BLANK)]
    while body[0].startswith("%"):
        body.pop(0)
    rows = [line.split() for line in body[1:]]
    return [one(row[0], row[1], row[2] if values else None) for row in rows]


def read(data):
    """(user, item, rating) of every line."""
    lines = characters(data).split("\n")
    while lines and not lines[0].strip(BLANK):
        lines.pop(0)
    if not lines:
        raise Refused("empty")
    if lines[0].lower().startswith("%%matrixmarket"):
        return matrix_market(lines)
    if re.match(r"\s*(\{|\[\s*([\[{\"\-0-9]|$))", lines[0]) and re.search(r"[\]},\[{]\s*$", lines[0]):
        return json_lines(lines)
    return table(lines)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        for row in read(file.read()):
            print(row)
