"""Mutations of the content of a file, by its kind: bytes, lines, JSON, and the headers of .npy and safetensors.

The same `random.Random` gives the same mutation, on any machine.
"""

import json
import struct
from pathlib import Path

LIMIT = 1 << 20  # bytes of a mutated file
INTEGERS = (0, 1, -1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -(2**31), -(2**63))
# Written into texts: quotes, white space, ends of lines, marks, and bytes that are not UTF-8.
SNIPPETS = (
    *(b'"', b'""', b"'", b"\\", b",", b"\t", b" ", b"\n", b"\r", b"\r\n", b"\0", b"|||", b"#", b"{", b"}", b"[", b"]"),
    *(b":", b";", b"\x0b", b"\x0c", b"\x1a", b"\x1b[2J", b"\x1c", b"\x85", "\u2028".encode(), "\u3000".encode()),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"PAR1"),
    *(b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe4\xb8", b"\x80", b"\xff"),
    *("\u202e".encode(), "\u0301".encode(), "\u200d".encode(), "👨‍👩‍👧".encode(), "𠮷".encode(), "\ufeff".encode()),
    *(b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"1" * 5000, b"T1", b"B-", b"I-x", b"__label__", b"null"),
    *(b"<", b">", b'"@en', b"^^", b"_:b", b"\\u", b"\\uD800", b"%", b"%FF", b"../../x", b"a" * 70_000),
)
# Put in the place of values of JSON. A raw text is no JSON that `json.dumps` writes.
VALUES = (
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**25),
    *("", " ", "x", "0", "/etc/passwd", "../../x", "a/b", "a\0b", "\n", "\x1b[2J", "\ud800", "\u2028", "中" * 300),
    *([], {}, [[]], [None], {"": ""}, {"a": {}}, [0] * 50, ["x", 1], list("中文"), "a" * 70_000),
)
RAW = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000, "1." + "0" * 400 + "1", "1E400", "00", "tru"),
    *("[" * 100_000, '{"a":' * 5000, "[" * 500 + "]" * 500, '{"a":' * 70 + "1" + "}" * 70),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', "'x'", '"\x01"', "1,", "", ","),
)  # fmt: skip
TYPES = (
    *("<f4", "<f2", "<f8", ">f4", "<i8", "|O", "|S8", "<U4", "|V8", "<c8", "<M8[s]", "|u1", "<f4,<f4", "{}"),
    *("__import__('os')", "[('a','<f4')]"),
)
_PLACEHOLDER = "\ue000raw\ue000"


# --- bytes ------------------------------------------------------------------------------------------------------------


def flip(chance, content, other):
    """Flip bits."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def change(chance, content, other):
    """Set bytes to other values."""
    changed = bytearray(content)
    start, length = _block(chance, content)
    for place in range(start, start + min(length, 16)):
        changed[place] = chance.choice((0, 0xFF, 0x80, 0x20, chance.randrange(256)))
    return bytes(changed)


def delete(chance, content, other):
    """Delete a block."""
    start, length = _block(chance, content)
    return content[:start] + content[start + length :]


def insert(chance, content, other):
    """Insert random bytes."""
    start = chance.randint(0, len(content))
    return content[:start] + chance.randbytes(chance.choice((1, 2, 4, 8, 64))) + content[start:]


def duplicate(chance, content, other):
    """Copy a block to another place."""
    start, length = _block(chance, content)
    place = chance.randint(0, len(content))
    return content[:place] + content[start : start + length] * chance.choice((1, 1, 3)) + content[place:]


def swap(chance, content, other):
    """Exchange two blocks that follow one another."""
    start, length = _block(chance, content)
    middle = start + length // 2
    return content[:start] + content[middle : start + length] + content[start:middle] + content[start + length :]


def cut(chance, content, other):
    """Cut the file at its end, or at its beginning."""
    place = chance.randint(0, len(content))
    return content[:place] if chance.random() < 0.8 else content[place:]


def splice(chance, content, other):
    """Continue with another file."""
    return content[: chance.randint(0, len(content))] + other[chance.randint(0, len(other)) :]


def overwrite(chance, content, other):
    """Overwrite a part by a part of another file."""
    start, length = _block(chance, other)
    place = chance.randint(0, len(content))
    return content[:place] + other[start : start + length] + content[place + length :]


def integer(chance, content, other):
    """Write an interesting whole number, at a place that is a multiple of its size."""
    size = chance.choice((1, 2, 4, 8))
    place = chance.randrange(len(content) // size + 1) * size
    value = (chance.choice(INTEGERS) + chance.choice((0, 0, 1, -1))) % (1 << 8 * size)
    return content[:place] + value.to_bytes(size, chance.choice(("little", "little", "big"))) + content[place + size :]


def odd_float(chance, content, other):
    """Write a float that is no number, or out of range."""
    kind, place = chance.choice("efd"), chance.randrange(len(content) // 4 + 1) * 4
    value = chance.choice((float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 6e4, 1e-7))
    packed = struct.pack(f"<{kind}", value)
    return content[:place] + packed + content[place + len(packed) :]


def _block(chance, content):
    """Return (start, length) of a part."""
    length = min(len(content), chance.choice((1, 1, 2, 4, 16, 100, 4096, len(content))))
    return chance.randint(0, len(content) - length), length


BYTES = (flip, flip, change, delete, insert, duplicate, swap, cut, splice, overwrite, integer, integer, odd_float)


# --- lines ------------------------------------------------------------------------------------------------------------


def snippet(chance, content, other):
    """Insert what has a meaning in some format, or overwrite a byte by it."""
    start = chance.randint(0, len(content))
    return content[:start] + chance.choice(SNIPPETS) + content[start + chance.choice((0, 0, 1)) :]


def lines(chance, content, other):
    """Drop, repeat, exchange, join or shuffle lines, or take one of another file."""
    parts = content.split(b"\n")
    place, second = chance.randrange(len(parts)), chance.randrange(len(parts))
    way = chance.randrange(7)
    if way == 0:
        del parts[place]
    elif way == 1:
        parts[place:place] = [parts[place]] * chance.choice((1, 1, 2, 50))
    elif way == 2:
        parts[place], parts[second] = parts[second], parts[place]
    elif way == 3:
        parts[place : place + 2] = [chance.choice((b"", b"\r", b"\t", b" ", b",")).join(parts[place : place + 2])]
    elif way == 4:
        chance.shuffle(parts)
    elif way == 5:
        parts.insert(place, chance.choice(other.split(b"\n")))
    else:
        parts[place] = parts[place][::-1]
    return b"\n".join(parts)


def fields(chance, content, other):
    """Drop, repeat or exchange fields of a line, or change what separates them."""
    parts = content.split(b"\n")
    place = chance.randrange(len(parts))
    separator = chance.choice([mark for mark in (b"\t", b",", b" ", b"|||") if mark in parts[place]] or [b" "])
    found = parts[place].split(separator)
    index = chance.randrange(len(found))
    way = chance.randrange(5)
    if way == 0:
        del found[index]
    elif way == 1:
        found.insert(index, found[index])
    elif way == 2:
        found[index] = chance.choice(SNIPPETS)
    elif way == 3:
        chance.shuffle(found)
    else:
        separator = chance.choice((b"\t", b",", b"  ", b";", b""))
    parts[place] = separator.join(found)
    return b"\n".join(parts)


def encoding(chance, content, other):
    """Write the text in another encoding, or with other ends of lines."""
    text = content.decode("utf-8", "replace")
    if chance.random() < 0.3:
        return content.replace(b"\n", chance.choice((b"\r", b"\r\n", b"\n\n", b"\0", b"\n\xef\xbb\xbf")))
    name = chance.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "utf-8-sig", "latin-1", "big5"))
    return text.encode(name, "replace")


LINES = (snippet, snippet, snippet, lines, lines, fields, fields, encoding, flip, delete, cut, splice, duplicate)


# --- JSON -------------------------------------------------------------------------------------------------------------


def json_value(chance, content, other):
    """Replace, drop, rename, add, repeat, wrap or exchange a value at any depth."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return chance.choice((snippet, flip, cut))(chance, content, other)
    places = list(_places(value, ()))
    if not places:
        return chance.choice(RAW).encode("utf-8", "surrogatepass")
    holder, key = _holder(value, chance.choice(places))
    raw = chance.choice(RAW)
    way = chance.randrange(9)
    if way <= 1:
        holder[key] = chance.choice(VALUES)
    elif way == 2:
        holder[key] = _PLACEHOLDER
    elif way == 3:
        del holder[key]
    elif way == 4:
        holder[key] = chance.choice(([holder[key]], {"x": holder[key]}, [holder[key]] * 3))
    elif way == 5:
        target, place = _holder(value, chance.choice(places))
        target[place], holder[key] = holder[key], target[place]
    elif way == 6 and isinstance(holder, dict):
        holder[chance.choice(("", "x", "a\0", "\u202e", key.upper(), key + " ", "中" * 90))] = holder.pop(key)
    elif way == 7 and isinstance(holder, dict):
        raw = f"{_PLACEHOLDER},{json.dumps(key)}:{json.dumps(chance.choice(VALUES))}"
        raw = raw.replace(_PLACEHOLDER, json.dumps(holder[key]))
        holder[key] = _PLACEHOLDER
    else:
        holder[key] = _near(chance, holder[key])
    return _dumped(value).replace(f'"{_PLACEHOLDER}"', raw).encode("utf-8", "surrogatepass")


def json_line(chance, content, other):
    """Change a value in one line of JSON Lines."""
    parts = content.split(b"\n")
    place = chance.randrange(len(parts))
    parts[place] = json_value(chance, parts[place], other)
    return b"\n".join(parts)


def _dumped(value):
    """Return JSON; a value that refers to itself, as after an exchange of values, becomes null."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "null"


def _near(chance, value):
    """Return a value of the same type that is a little different."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return chance.choice((value + 1, value - 1, -value, value * 2, value * 10**6, value / 2, str(value)))
    if isinstance(value, str):
        return chance.choice(
            (value + "x", value[:-1], value.upper(), value * 2, f"\0{value}", f"../{value}", value[::-1])
        )
    return type(value)()


def _places(value, path):
    """Yield the path of each value inside of another one."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from _places(value[key], (*path, key))


def _holder(value, path):
    """Return what has a place, and its key or index in it; of the whole, where it is no longer there."""
    holder = value
    for key in path[:-1]:
        if not isinstance(holder, (dict, list)):
            break
        holder = holder[key]
    return (holder, path[-1]) if isinstance(holder, (dict, list)) else (value, path[0])


JSON = (json_value, json_value, json_value, json_value, json_value, snippet, flip, cut, splice)
JSON_LINES = (json_line, json_line, json_line, json_line, *LINES)


# --- headers ----------------------------------------------------------------------------------------------------------


def npy_header(chance, content, other):
    """Write another type or shape, or a header of another version or size, before the same data."""
    end = 10 + int.from_bytes(content[8:10], "little") if len(content) > 10 else len(content)
    header = content[10:end].decode("latin-1")
    descr = chance.choice(TYPES)
    numbers = (0, 1, 2, 3, -1, 2**31, 2**40, 2**62, 2**63, 10**30)
    shape = ", ".join(str(chance.choice(numbers)) for _ in range(chance.choice((0, 1, 2, 2, 2, 3, 40))))
    way = chance.randrange(5)
    if way == 0:
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape},), }}\n"
    elif way == 1:
        order = chance.choice(("True", "1", "None", "[]"))
        header = f"{{'descr': '<f4', 'fortran_order': {order}, 'shape': ({shape}), }}\n"
    elif way == 2:
        header = chance.choice(("", "{}", "None", "(" * 5000, "exit()", "{'shape': 1}", "\0" * 50, "x" * 60_000))
    elif way == 3:
        header = snippet(chance, header.encode("latin-1"), other).decode("latin-1")
    version = chance.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x04\x00", b"\xff\xff"))
    size = len(header) if chance.random() < 0.9 else chance.choice((0, 1, 65535))
    width = 2 if version == b"\x01\x00" else 4
    packed = min(size, 256**width - 1).to_bytes(width, "little")
    return b"\x93NUMPY" + version + packed + header.encode("latin-1") + content[end:]


def tensors_header(chance, content, other):
    """Change the JSON header of a safetensors file, whose size is written before it."""
    size = int.from_bytes(content[:8], "little")
    header = chance.choice(JSON)(chance, content[8 : 8 + size], other)
    stated = len(header) if chance.random() < 0.9 else chance.choice((0, 2**31, 2**63, len(header) - 1))
    return max(0, stated).to_bytes(8, "little") + header + content[8 + size :]


NPY = (npy_header, npy_header, *BYTES)
TENSORS = (tensors_header, tensors_header, tensors_header, *BYTES)
_BY_SUFFIX = {
    ".json": JSON, ".jsonl": JSON_LINES, ".npy": NPY, ".safetensors": TENSORS,
    **dict.fromkeys((".txt", ".tsv", ".csv", ".ann", ".conll", ".nt", ".nq", ".ttl", ".trig", ".ftz"), LINES),
}  # fmt: skip


def mutate(chance, name, content, other):
    """Return the mutated content of a file.

    Args:
        chance: a `random.Random`, which alone decides.
        name: of the file; its suffix is its kind.
        content: of the file.
        other: content of another file, for splices.
    """
    operations = _BY_SUFFIX.get(Path(name).suffix, BYTES)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        content = chance.choice(operations)(chance, content, other)[:LIMIT]
    return content
