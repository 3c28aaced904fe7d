#!/usr/bin/env python3
"""Verify an export of a Release Ledger without the ledger: `python3 verify.py EXPORT [--against NOTE] [--key KEY.pem]`.

An export says itself which part of the ledger it is: read that in the last lines, or state it with --project and
--environment. One file, and Python 3.8 or newer with nothing installed; only a signature needs the package
`cryptography`. docs/proof.md of the ledger specifies all that is computed here. EXPORT is what `release-ledger audit
export` wrote, or `-` for standard input. Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys

FORMAT = "release-ledger-export/1"
DOMAIN = b"release-ledger/1\n"
ORIGIN = "release-ledger/"
FIRST_DIGEST = bytes(32)
PAGE = 1000
LEAF = struct.Struct(">q32s")
OWN = ("access", "project", "environment")
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
LARGEST = 2**53 - 1


class Unreadable(Exception):
    """The file is no export, or no checkpoint; the message says where it is not."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(value):
    """Canonical JSON (RFC 8785) of a list of texts and small integers."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Tree:
    """The Merkle tree of RFC 6962, as the roots of its complete subtrees, the largest first."""

    def __init__(self):
        self.size, self.subtrees = 0, []

    def append(self, leaf):
        root, size = sha256(b"\0", leaf), self.size
        while size & 1:
            root, size = sha256(b"\1", self.subtrees.pop(), root), size >> 1
        self.subtrees.append(root)
        self.size += 1

    def root(self):
        if not self.subtrees:
            return sha256()
        root = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            root = sha256(b"\1", left, root)
        return root


class Note:
    """A C2SP checkpoint: the name of a tree, its size, its root, and signatures. Raises Unreadable."""

    def __init__(self, note):
        if not isinstance(note, str) or not is_unicode(note) or re.search("[\0-\x09\x0b-\x1f]", note):
            raise Unreadable("a checkpoint is text without control characters")
        text, blank, signed = note.partition("\n\n")
        lines = text.split("\n")
        if not blank or len(lines) < 3 or not lines[0] or not re.fullmatch("0|[1-9][0-9]{0,17}", lines[1]):
            raise Unreadable("a checkpoint is an origin, a size and a root, then an empty line, then signatures")
        if signed and not signed.endswith("\n"):
            raise Unreadable("the last line of a checkpoint does not end")
        self.text, self.origin, self.size, self.root = text + "\n", lines[0], int(lines[1]), from_base64(lines[2])
        if self.root is None or len(self.root) != 32:
            raise Unreadable("the third line of a checkpoint is a root, 32 bytes in base64")
        found = [re.fullmatch("\u2014 ([^\\s+]+) (\\S+)", line) for line in signed.split("\n")[:-1]]
        self.signatures = [(line.group(1), from_base64(line.group(2)) or b"") if line else ("", b"") for line in found]
        if not all(len(both) > 4 for _, both in self.signatures):
            raise Unreadable("a line after the empty one is no signature")
        self.is_plain = len(lines) == 3

    def is_signed_by(self, key):
        """Whether the signature of this key is right; None where there is none of it."""
        from cryptography.exceptions import InvalidSignature

        raw = key.public_bytes_raw()
        key_hash = sha256(self.origin.encode(), b"\n\x01", raw)[:4]
        own = [both[4:] for name, both in self.signatures if (name, both[:4]) == (self.origin, key_hash)]
        try:
            for signature in own:
                key.verify(signature, self.text.encode())
        except InvalidSignature:
            return False
        return True if own else None


def is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def from_base64(text):
    """The bytes that are written so, and not otherwise; None where there are none."""
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return found if base64.b64encode(found).decode() == text else None


def shown(text):
    """Whatever somebody wrote, in letters that any terminal takes."""
    return ascii(str(text))[1:-1]


class Findings:
    """What is wrong, as it is found."""

    def __init__(self):
        self.count = 0

    def say(self, stream, version, word, what):
        self.count += 1
        where = stream if version is None else f"{stream}, event {version}"
        print(f"WRONG {shown(where)}: {word}: {shown(what)}")


def computed(previous, stream, version, event):
    """The digest that an event has as this version of its stream; None of what can have none."""
    if not all(isinstance(event[name], str) for name in ("topic", "recorded_at")) or event["bytes"] is None:
        return None
    state = hashlib.sha256(event["bytes"]).hexdigest()
    try:
        entry = canonical([stream, version, event["topic"], event["recorded_at"], state])
    except ValueError:
        return None
    return sha256(DOMAIN, previous, entry)


def fits(previous, stream, version, event):
    """Whether the event is this version of the stream, and follows that digest."""
    return previous is not None and computed(previous, stream, version, event) == event["digest"] is not None


def missing(first, last, more=""):
    what = "it is not there" if first == last else f"the events {first} to {last} are not there"
    return first, "missing", what + more


class Stream:
    """One stream on its way through the file: its head, and how far it was followed."""

    def __init__(self, line, leaves):
        self.name, self.version, self.recorded_at = line["stream"], line["version"], line["recorded_at"]
        self.head_digest = bytes_of(line["digest"])
        self.leaves, self.leaf = leaves, 0
        self.digest, self.moment, self.last, self.events = FIRST_DIGEST, "", 0, 0
        own = isinstance(self.name, str) and self.name.split("/")[0] in OWN
        self.expected = 1 if own else None
        self.positions = [-(2**63)] * 2
        self.rewritten = None

    def follow(self, events):
        """How many of these are as they were recorded."""
        for good, event in enumerate(events):
            expected = event["version"] if self.expected is None else self.expected
            position = event["position"]
            if type(event["version"]) is not int or event["version"] != expected or type(position) is not int:
                return good
            if position <= self.positions[1] or not fits(self.digest, self.name, expected, event):
                return good
            self.positions = [self.positions[1], position]
            self.digest, self.moment, self.last = event["digest"], event["recorded_at"], expected
            self.expected, self.events = expected + 1, self.events + 1
            while self.due() is not None and self.due() <= expected:
                if self.due() < expected:
                    self.rewritten = self.rewritten or (expected, "leaf", "the leaves of the stream are out of order")
                    self.leaf += 1
                    continue
                if self.due_digest() != self.digest:
                    what = "a leaf of the checkpoint has another digest for it"
                    self.rewritten = self.rewritten or (expected, "rewritten", what)
                self.leaf += 1
        return len(events)

    def due(self):
        """The version that the next leaf vouches for."""
        start = self.leaf * LEAF.size
        return LEAF.unpack_from(self.leaves, start)[0] if start < len(self.leaves) else None

    def due_digest(self):
        return LEAF.unpack_from(self.leaves, self.leaf * LEAF.size)[1]

    def wrong(self, events):
        """What is wrong with the first of these, the next that was not followed; the others tell."""
        version, name = events[0]["version"], self.name
        if type(version) is not int:
            return self.expected, "edited", "its version is no number"
        expected = version if self.expected is None else self.expected
        places = (n for n, event in enumerate(events) if fits(self.digest, name, expected, event))
        found = next(places, None)
        beyond = type(self.version) is int and self.version < version
        if found == 0 and version == expected:
            return self.wrong_position(events)
        if found is not None:
            there = events[found]
            if version < expected == there["version"]:
                return version, "inserted", "the stream has no event of this version"
            after = events[found + 1] if found + 1 < len(events) else None
            if version == expected:
                goes_on = after is not None and fits(there["digest"], name, expected + 1, after)
                is_last = found == 1 and after is None and not fits(there["digest"], name, expected + 1, events[0])
                if goes_on or is_last:
                    return expected, "inserted", "it is of no event that was recorded; the later ones were moved"
            return expected, "reordered", f"the event of this version stands as version {there['version']}"
        if (self.version is None and not self.events) or (beyond and version == expected):
            return version, "inserted", "the head of the stream does not know it"
        if version < expected:
            return version, "inserted", "the stream has no event of this version"
        if version > expected:
            return missing(expected, version - 1)
        return self.edited(events, version)

    def edited(self, events, version):
        event, after, name = events[0], events[1] if len(events) > 1 else None, self.name
        if after is not None and after["version"] == version + 1:
            if fits(computed(self.digest, name, version, event), name, version + 1, after):
                return version, "edited", "its digest is not the one that was recorded; its content is"
            if not fits(event["digest"], name, version + 1, after):
                for left_out in range(1, 1001):
                    if fits(event["digest"], name, version + 1 + left_out, after):
                        return missing(version, version + left_out - 1, "; the later ones were moved")
        return version, "edited", "its content is not the one that was recorded: its digest differs"

    def wrong_position(self, events):
        version, position, what = (
            events[0]["version"],
            events[0]["position"],
            "its position is not between those beside",
        )
        after = events[1]["position"] if len(events) > 1 else None
        after = after if type(after) is int else None
        before = self.events and type(position) is int and position > self.positions[0]
        is_before = before and (after is None or after <= self.positions[1])
        return version - 1 if is_before else version, "edited", what

    def ended(self, say):
        """All events were followed: compare what vouches for the newest."""
        first = self.last + 1 if self.events else 1
        if self.version is None and not self.events:
            pass  # nothing is left of it but its leaves, which tell
        elif type(self.version) is not int:
            say(self.name, self.last or None, "head", "the head of the stream is not there")
        elif self.version > self.last or not self.events:
            say(self.name, first, "cut off", f"the head of the stream is at version {self.version}")
        elif self.version < self.last:
            say(self.name, self.version + 1, "inserted", f"the head of the stream is at version {self.version}")
        elif (self.head_digest, self.recorded_at) != (self.digest, self.moment):
            say(
                self.name,
                self.last,
                "head",
                "the head of the stream has another digest or moment than its newest event",
            )
        if self.due() is not None and not (type(self.version) is int and self.version > self.last):
            say(self.name, first, "cut off", f"a leaf of the checkpoint is of version {self.due()}")


def bytes_of(text):
    """The bytes that hexadecimal digits stand for; None for anything else."""
    try:
        return bytes.fromhex(text) if isinstance(text, str) and not re.search(r"[^0-9a-f]", text) else None
    except ValueError:
        return None


def state_of(line):
    """The exact bytes of an event's state: text as UTF-8, or base64 of what is no text."""
    try:
        if "state_base64" in line:
            return base64.b64decode(line["state_base64"], validate=True)
        return line["state"].encode() if isinstance(line["state"], str) else None
    except (ValueError, TypeError):
        return None


class Lines:
    """The lines of an export, one ahead."""

    def __init__(self, file):
        self.file, self.number = file, 0
        self.next = None
        self.step()

    def step(self):
        """The line that was next."""
        line, text = self.next, self.file.readline()
        self.number += 1
        try:
            self.next = json.loads(text) if text else {"line": "nothing"}
        except ValueError:
            raise Unreadable(f"line {self.number} is not JSON") from None
        except RecursionError:
            raise Unreadable(f"line {self.number} is nested too deeply") from None
        if not isinstance(self.next, dict) or "line" not in self.next:
            raise Unreadable(f"line {self.number} is not one of an export")
        return line

    def all(self, kind):
        while self.next["line"] == kind:
            yield self.step()

    def events(self, stream):
        """The next events of a stream, at most a page."""
        page = []
        while len(page) < PAGE and self.next["line"] == "event" and self.next["stream"] == stream:
            line = self.step()
            line["bytes"], line["digest"] = state_of(line), bytes_of(line["digest"])
            page.append(line)
        return page


class Verification:
    """One export, from its first line to its last; `stated` is the part that the auditor says it is of, if any."""

    def __init__(self, lines, against, key, stated=None):
        self.lines, self.against, self.key, self.stated = lines, against, key, stated
        self.found = Findings()
        self.leaves, self.tree, self.origin = {}, Tree(), None
        self.part = (None, None)
        self.streams = self.events = self.signed = 0

    def run(self):
        note = self.read_header()
        self.read_tree(note)
        seen = set()
        for line in self.lines.all("stream"):
            name = line["stream"] if isinstance(line["stream"], str) else repr(line["stream"])
            if name in seen:
                self.found.say(name, None, "inserted", "the stream is there twice")
            elif not self.is_of_part(name):
                self.found.say(name, None, "inserted", f"the export says that it is of {self.part_name()} alone")
            seen.add(name)
            self.read_stream(line)
        for name in sorted(set(self.leaves) - seen):
            if self.is_of_part(name):
                self.found.say(name, 1, "cut off", "the checkpoint has a leaf of this stream, and it is not there")
        if self.part != (None, None) and not any(map(self.is_of_part, seen)):
            self.found.say("export", None, "cut off", f"nothing in it is of {self.part_name()}")
        self.read_end()
        return note

    def read_header(self):
        """What the export says of itself: its checkpoint, and the part that it is."""
        header, say = self.lines.step(), self.found.say
        if header["line"] != "header" or header.get("format") != FORMAT:
            raise Unreadable(f"it is no {FORMAT}")
        project, environment = header["project"], header["environment"]
        is_part = all(each is None or isinstance(each, str) for each in (project, environment))
        if not is_part or (project is None and environment is not None):
            say("export", None, "header", "its project and environment are no part of a ledger")
        else:
            self.part = (project, environment)
        if self.stated is not None and self.stated != (project, environment):
            say("export", None, "header", f"it is of {self.part_name()}, and not of the part that you state")
        if not isinstance(header["made_at"], str) or not re.fullmatch(MOMENT, header["made_at"]):
            say("export", None, "header", "it does not say when it was made")
        note = None
        try:
            note = Note(header["checkpoint"]) if header["checkpoint"] is not None else None
        except Unreadable as error:
            say("checkpoint", None, "checkpoint", f"that of the export is none: {error}")
        else:
            if note is None and self.lines.next["line"] == "leaf":
                say("checkpoint", None, "checkpoint", "there are leaves, and no checkpoint over them")
            elif note is not None and not note.is_plain:
                say("checkpoint", None, "checkpoint", "that of the export says more than a checkpoint does")
        return note

    def part_name(self):
        project, environment = self.part
        if project is None:
            return "the whole ledger"
        return f"project {project}" if environment is None else f"environment {project}/{environment}"

    def is_of_part(self, stream):
        project, environment = self.part
        if project is None:
            return True
        if environment is not None:
            return stream == f"environment/{project}/{environment}"
        return stream == f"project/{project}" or stream.startswith(f"environment/{project}/")

    def read_tree(self, note):
        say, roots = self.found.say, {0: self.tree.root()}
        wanted = {each.size for each in (note, self.against) if each is not None}
        for line in self.lines.all("leaf"):
            stream, version, digest = line["stream"], line["version"], bytes_of(line["digest"])
            if type(line["position"]) is not int or line["position"] != self.tree.size:
                say("checkpoint", None, "leaf", f"leaf {self.tree.size} is not there")
                break
            is_leaf = isinstance(stream, str) and is_unicode(stream) and type(version) is int
            if not is_leaf or abs(version) > LARGEST or digest is None or len(digest) != 32:
                say("checkpoint", None, "leaf", f"leaf {self.tree.size} is not a stream, a version and a digest")
                break
            leaf = canonical([stream, version, digest.hex()])
            self.origin = self.origin or ORIGIN + sha256(b"\0", leaf).hex()[:16]
            self.tree.append(leaf)
            if self.tree.size in wanted:
                roots[self.tree.size] = self.tree.root()
            self.leaves.setdefault(stream, bytearray()).extend(LEAF.pack(version, digest))
        for _ in self.lines.all("leaf"):
            pass
        if note is not None:
            self.compare(note, "the checkpoint of the export", roots)
            if note.size != self.tree.size:
                say("checkpoint", None, "leaf", f"{note.size} leaves were signed, and {self.tree.size} are there")
        if self.against is not None:
            self.compare(self.against, "the checkpoint that was carried away", roots)

    def compare(self, note, name, roots):
        say = self.found.say
        if note.origin != self.origin:
            say("checkpoint", None, "checkpoint", f"{name} is of the tree {note.origin}, and this is {self.origin}")
        if note.size > self.tree.size:
            say("checkpoint", None, "cut off", f"{name} is of {note.size} leaves, and {self.tree.size} are there")
        elif roots.get(note.size) != note.root:
            say("checkpoint", None, "checkpoint", f"{name}: the first {note.size} leaves have another root")
        if self.key is not None:
            is_right = note.is_signed_by(self.key)
            self.signed += bool(is_right)
            if not is_right:
                what = "is not signed with this key" if is_right is None else "has a wrong signature"
                say("checkpoint", None, "signature", f"{name} {what}")

    def read_stream(self, line):
        stream = Stream(line, self.leaves.get(line["stream"], b"") if isinstance(line["stream"], str) else b"")
        self.streams += 1
        if not isinstance(stream.name, str):
            self.found.say(repr(stream.name), None, "edited", "its name is no text")
        page = self.lines.events(stream.name)
        is_whole = True
        while page:
            self.events += len(page)
            good = stream.follow(page) if is_whole else 0
            after = self.lines.events(stream.name)
            if is_whole and good < len(page):
                is_whole = False
                self.found.say(stream.name, *stream.wrong(page[good:] + after))
            page = after
        if stream.rewritten is not None:
            self.found.say(stream.name, *stream.rewritten)
        if is_whole and isinstance(stream.name, str):
            stream.ended(self.found.say)

    def read_end(self):
        line, counted = self.lines.next, (self.tree.size, self.streams, self.events)
        if line["line"] == "nothing":
            self.found.say("export", None, "cut off", "its last line is not there")
        elif line["line"] != "end":
            self.found.say("export", None, "inserted", f"line {self.lines.number} belongs to no stream")
        elif counted != (line["leaves"], line["streams"], line["events"]):
            self.found.say("export", None, "cut off", f"it has other numbers of leaves, streams and events: {counted}")
        elif self.lines.step() and self.lines.next["line"] != "nothing":
            self.found.say("export", None, "inserted", "something follows its last line")


def key_of(path):
    """The public key in a PEM file. Exits where the package for it is not there."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        sys.exit("A signature is checked by the package cryptography: pip install cryptography, or leave out --key.")
    with open(path, "rb") as file:
        try:
            key = load_pem_public_key(file.read())
        except ValueError:
            key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable(f"{path} holds no Ed25519 public key in PEM")
    return key


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", help="what `release-ledger audit export` wrote; - for standard input")
    parser.add_argument(
        "--against", metavar="NOTE", help="a checkpoint that you kept yourself: the export must lead to it"
    )
    parser.add_argument("--project", help="the project that you know the export to be of: it must say so, too")
    parser.add_argument("--environment", help="the environment of --project that you know the export to be of")
    parser.add_argument("--key", metavar="KEY.pem", help="the ledger's public key: checks the signatures, too")
    asked = parser.parse_args(arguments)
    if asked.environment is not None and asked.project is None:
        parser.error("--environment is one of a --project")
    stated = None if asked.project is None else (asked.project, asked.environment)
    try:
        key = key_of(asked.key) if asked.key else None
        against = None
        if asked.against:
            with open(asked.against, encoding="utf-8", newline="") as kept:
                against = Note(kept.read())
        with sys.stdin.buffer if asked.export == "-" else open(asked.export, "rb") as file:
            verification = Verification(Lines(file), against, key, stated)
            note = verification.run()
    except (Unreadable, OSError, KeyError, UnicodeDecodeError, RecursionError) as error:
        why = f"a line has no {error}" if isinstance(error, KeyError) else error
        print(f"WRONG {shown(asked.export)}: {shown(why)}")
        return 1
    of = f"{shown(verification.part_name())}, {verification.events} events in {verification.streams} streams"
    of += f", {verification.tree.size} leaves"
    print(f"Verified {of}: {f'{verification.found.count} found' if verification.found.count else 'nothing is wrong'}.")
    if note is None:
        print("There is no checkpoint in it: the end of a stream may have been cut off.")
    elif against is None:
        print("Its checkpoint came with it; compare with one that you kept yourself: --against NOTE.")
    print(f"{verification.signed} signatures checked." if key else "No signature was checked: give --key KEY.pem.")
    return 1 if verification.found.count else 0


if __name__ == "__main__":
    sys.exit(main())
