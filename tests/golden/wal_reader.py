#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads a log directory. Written from docs/wal-format.md alone, with nothing of ours: if this and
`sluice wal` disagree, one of them or that page is wrong.

    wal_reader.py DIR                what recovery would find, as a JSON object
    wal_reader.py DIR --from-start   the same, read from the log's start and not from its base
    wal_reader.py DIR --commands     cmd_seq, block, epoch and bytes of every command in it
    wal_reader.py DIR --records N    the records of snapshot number N

Exit code: 0 intact or torn, 4 no log or another version, 5 damaged. Reads only, takes no lock.
"""
import functools
import json
import os
import re
import struct
import sys

PAGE = 4096
SEGMENTS = 16
MIB = 1 << 20
WINDOW = 8
DATA, OPEN, SEAL, ROLL, CLOSE = 1, 2, 4, 8, 16
RULES = 1
M64 = (1 << 64) - 1


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


# ------------------------------------------------------------------------------------- checksums
def _byte_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


BYTES = _byte_table()


def _step(crc):
    return BYTES[crc & 255] ^ crc >> 8


PAIRS = [_step(_step(pair)) for pair in range(65536)]


def _times(matrix, vector):
    total = 0
    for row in matrix:
        if vector & 1:
            total ^= row
        vector >>= 1
        if not vector:
            break
    return total


def _zero_matrices():
    """What 1, 2, 4 ... zero bytes do to a CRC register."""
    one = [_step(1 << bit) for bit in range(32)]
    matrices = [one]
    for _ in range(20):
        last = matrices[-1]
        matrices.append([_times(last, row) for row in last])
    return matrices


ZEROS = _zero_matrices()


@functools.lru_cache(maxsize=256)  # the same bytes are looked at again and again
def crc32c(data, crc=0):
    """Most of a block is padding, and zeros can be jumped over."""
    crc ^= 0xFFFFFFFF
    length = len(data.rstrip(b"\0"))
    length += length & 1
    if length > len(data):
        crc = _step(crc ^ data[0])
        return crc32c(data[1:], crc ^ 0xFFFFFFFF)
    for (pair,) in struct.iter_unpack("<H", data[:length]):
        crc = PAIRS[(crc ^ pair) & 0xFFFF] ^ crc >> 16
    for i, matrix in enumerate(ZEROS):
        if len(data) - length >> i & 1:
            crc = _times(matrix, crc)
    return crc ^ 0xFFFFFFFF


def check_checksums():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283
    assert crc32c(b"1234" + b"\0" * 1000) == crc32c(b"\0" * 993, crc32c(b"1234" + b"\0" * 7))
    assert link(0x01234567, 0x89ABCDEF, 1) == 0x8E3980323F3DCE39


def link(header_crc, payload_crc, epoch):
    x = header_crc << 32 | payload_crc
    x ^= epoch * 0x9E3779B97F4A7C15 & M64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


# --------------------------------------------------------------------------------------- records
class Record:
    """A struct's fields as attributes."""

    def __init__(self, layout, names, data):
        for name, value in zip(names, struct.unpack_from(layout, data)):
            setattr(self, name, value)


PLACE = "<QQQQQQQQQ16sIHH"
PLACE_NAMES = ("block_seq segment_no offset prev_link cmd_seq report md durable_seq reports_taken "
               "ring_uuid epoch flags reserved").split()
SUPER = "<QII16sQQIIQQQQ24s96s128s128s40sII"
SUPER_NAMES = ("magic version semantics log_uuid sequence parent_crc epoch segments segment_bytes "
               "snapshot_file_bytes created_realtime_ns close_block_seq limits start snapshot_0 "
               "snapshot_1 reserved reserved2 super_crc").split()
NAMED = "<96sQQQII"
NAMED_NAMES = "place sequence bytes state_hash header_crc reserved".split()
BLOCK = "<IHHII16sQIIQQQII16sQQQQ"
BLOCK_NAMES = ("magic version flags header_crc payload_crc log_uuid block_seq epoch segment_no "
               "prev_link durable_seq first_cmd_seq n_cmds payload_bytes ring_uuid reports_taken "
               "input_time_ns state_hash report_first").split()
SNAPSHOT = "<QII16sQQQQQQ24s96sII"
SNAPSHOT_NAMES = ("magic version semantics log_uuid sequence bytes records state_hash chain_hash "
                  "created_realtime_ns limits place chunks_crc header_crc").split()
CHUNK = "<II16sQQQI12s"
CHUNK_NAMES = "magic crc log_uuid sequence index cmd_seq n_records reserved".split()
assert [struct.calcsize(s) for s in (PLACE, SUPER, NAMED, BLOCK, SNAPSHOT, CHUNK)] == [
    96, 512, 128, 128, 208, 64]


def read_place(data):
    return Record(PLACE, PLACE_NAMES, data)


def place_fault(place, super_):
    if place.segment_no > 2**32 - 17:
        return "segment_no"
    if place.offset % PAGE or place.offset >= super_.segment_bytes:
        return "offset"
    if place.report < 1 or place.md < 1:
        return "report or md"
    if place.reports_taken > place.report:
        return "reports_taken"
    if place.durable_seq > place.block_seq:
        return "durable_seq"
    if (place.block_seq > 0) != (place.flags != 0):
        return "flags"
    return None


# ------------------------------------------------------------------------------------ superblock
def read_super(page):
    """The copy, and None or why it is not valid."""
    copy = Record(SUPER, SUPER_NAMES, page)
    copy.start = read_place(copy.start)
    (copy.sessions_max,) = struct.unpack_from("<I", copy.limits, 12)
    copy.snapshots = []
    for data in (copy.snapshot_0, copy.snapshot_1):
        entry = Record(NAMED, NAMED_NAMES, data)
        entry.place_bytes = entry.place
        entry.place = read_place(entry.place)
        copy.snapshots.append(entry)
    return copy, super_fault(copy, page)


def super_fault(copy, page):
    if copy.magic != 0x5250555357434C53:
        return "magic"
    if copy.version != 2:
        return "version"
    if crc32c(page[:508]) != copy.super_crc:
        return "super_crc"
    if copy.segments != SEGMENTS:
        return "segments"
    if not MIB <= copy.segment_bytes <= MIB * MIB or copy.segment_bytes % MIB:
        return "segment_bytes"
    fault = place_fault(copy.start, copy)
    if fault:
        return "start: " + fault
    for slot, entry in enumerate(copy.snapshots):
        if not entry.sequence:
            continue
        fault = place_fault(entry.place, copy)
        first = copy.start.segment_no
        if fault or entry.sequence % 2 != slot or entry.bytes > copy.snapshot_file_bytes or \
           entry.place.block_seq < copy.start.block_seq or \
           not first <= entry.place.segment_no <= first + SEGMENTS:
            return "snapshot %d" % slot
    return None


def choose_super(area):
    pages = [area[i * PAGE:(i + 1) * PAGE] for i in range(4)]
    copies = [read_super(page) for page in pages]
    valid = [(i, copy) for i, (copy, fault) in enumerate(copies) if fault is None]
    for i, a in valid:
        for j, b in valid:
            if i == j:
                continue
            if a.sequence == b.sequence and pages[i][:512] != pages[j][:512]:
                raise Refused(5, "super: two copies of sequence %d differ" % a.sequence)
            if a.log_uuid != b.log_uuid:
                raise Refused(5, "super: copies of two logs")
            if a.sequence + 1 == b.sequence and b.parent_crc != a.super_crc:
                raise Refused(5, "super: sequence %d does not continue" % b.sequence)
    if not valid and any(fault == "version" for _, fault in copies):
        raise Refused(4, "super: another version of the format")
    if not valid:
        raise Refused(5, "super: no copy is valid (%s)" % copies[0][1])
    place, best = max(valid, key=lambda pair: pair[1].sequence)
    if not any(i == copy.sequence % 4 and copy.sequence == best.sequence for i, copy in valid):
        raise Refused(5, "super: the newest valid copy is in the wrong place (%d)" % place)
    if best.semantics != RULES:
        raise Refused(4, "super: other matching rules")
    return best


# ----------------------------------------------------------------------------------------- chain
def block_bytes(n_cmds):
    return (128 + 120 * n_cmds + PAGE - 1) // PAGE * PAGE


class Log:
    def __init__(self, path):
        self.path = path
        if not os.path.isfile(os.path.join(path, "super")):
            raise Refused(4, "there is no log in " + path)
        self.super = choose_super(self.whole("super", 4 * PAGE))
        for file in range(SEGMENTS):
            self.check_size("wal-%02d" % file, self.super.segment_bytes)
        for file in range(2):
            self.check_size("snap-%d" % file, self.super.snapshot_file_bytes)
        self.segments = [open(os.path.join(path, "wal-%02d" % i), "rb") for i in range(SEGMENTS)]
        self.end = self.super.start.segment_no + SEGMENTS

    def check_size(self, name, size):
        path = os.path.join(self.path, name)
        if os.path.islink(path) or not os.path.isfile(path):
            raise Refused(5, name + ": missing")
        if os.path.getsize(path) != size:
            raise Refused(5, name + ": of another size")

    def whole(self, name, size):
        self.check_size(name, size)
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read()

    def load(self, segment_no, offset, size):
        file = self.segments[segment_no % SEGMENTS]
        file.seek(offset)
        return file.read(size)

    def intact_header(self, data, room):
        """The header of the bytes, or None: conditions 1 to 9 without the payload."""
        header = Record(BLOCK, BLOCK_NAMES, data)
        kind = header.flags & ~ROLL
        if header.magic != 0x4B424C57 or header.version != 2:
            return None
        if header.header_crc != crc32c(data[12:128], crc32c(data[:8])):
            return None
        if kind not in (DATA, OPEN, SEAL, CLOSE) or header.n_cmds > 2183 or \
           (header.n_cmds > 0) != (kind == DATA) or header.payload_bytes != 120 * header.n_cmds:
            return None
        return header if block_bytes(header.n_cmds) <= room else None

    def intact(self, segment_no, offset):
        """Header, payload, and whether the payload is intact; (None, b"", False)."""
        room = self.super.segment_bytes - offset
        header = self.intact_header(self.load(segment_no, offset, 128), room)
        if header is None:
            return None, b"", False
        data = self.load(segment_no, offset, block_bytes(header.n_cmds))
        return header, data[128:], crc32c(data[128:]) == header.payload_crc


class Chain:
    """What the next block must be: a place, moving."""

    def __init__(self, log, place):
        self.log = log
        self.first_cmd_seq = place.cmd_seq
        for name in ("block_seq segment_no offset prev_link cmd_seq durable_seq reports_taken "
                     "epoch flags").split():
            setattr(self, name, getattr(place, name))
        self.blocks = 0

    def follows(self, header):
        """None, or the condition that does not hold."""
        size = block_bytes(header.n_cmds)
        opens = header.flags & OPEN
        if header.log_uuid != self.log.super.log_uuid:
            return "log_uuid"
        if header.block_seq != self.block_seq:
            return "block_seq"
        if header.segment_no != self.segment_no:
            return "segment_no"
        if header.prev_link != self.prev_link:
            return "prev_link"
        if not self.flags and not opens:
            return "OPEN as the first block"
        if opens and header.epoch <= self.epoch or not opens and header.epoch != self.epoch:
            return "epoch"
        if not opens and self.flags & CLOSE:
            return "OPEN after CLOSE"
        if header.first_cmd_seq != self.cmd_seq:
            return "first_cmd_seq"
        if header.reports_taken < self.reports_taken:
            return "reports_taken"
        if header.flags & (DATA | OPEN) and header.reports_taken > header.report_first:
            return "reports_taken"
        if not self.durable_seq <= header.durable_seq <= self.block_seq:
            return "durable_seq"
        if self.block_seq - header.durable_seq > WINDOW - 1:
            return "blocks in flight"
        if (size == self.log.super.segment_bytes - self.offset) != bool(header.flags & ROLL):
            return "ROLL"
        return None

    def advance(self, header):
        self.offset += block_bytes(header.n_cmds)
        if self.offset == self.log.super.segment_bytes:
            self.segment_no, self.offset = self.segment_no + 1, 0
        self.block_seq += 1
        self.prev_link = link(header.header_crc, header.payload_crc, header.epoch)
        self.cmd_seq += header.n_cmds
        self.durable_seq = header.durable_seq
        self.reports_taken = header.reports_taken
        self.epoch = header.epoch
        self.flags = header.flags
        self.blocks += 1

    def agrees(self):
        """Is this the place of the snapshots that were taken here?"""
        return all((e.place.segment_no, e.place.offset, e.place.prev_link, e.place.cmd_seq) ==
                   (self.segment_no, self.offset, self.prev_link, self.cmd_seq)
                   for e in self.log.super.snapshots
                   if e.sequence and e.place.block_seq == self.block_seq)

    def walk(self):
        """The valid blocks, one after the other."""
        while self.agrees() and self.segment_no < self.log.end:
            header, payload, whole = self.log.intact(self.segment_no, self.offset)
            if header is None or not whole or self.follows(header):
                return
            self.advance(header)
            yield header, payload


# ------------------------------------------------------------------------------------- judgement
def judge_place(log, chain):
    """What lies in block k's own place: ("TORN" or None, why)."""
    header, _, _ = log.intact(chain.segment_no, chain.offset)
    page = log.load(chain.segment_no, chain.offset, PAGE)
    if header is not None:
        if chain.follows(header) is None:
            return "TORN", "its payload did not arrive whole"
        return None, ""
    if page[:4] == b"WLBK" or page[16:32] == log.super.log_uuid:
        return "TORN", "its header is not intact"
    if not any(page[:512]) and any(page):
        return "TORN", "its first sector did not arrive"
    return None, ""


class EarlierUse:
    """What is left of the use before of the segments behind the end, block after block."""

    def __init__(self):
        self.last = None

    def fault(self, log, header, segment_no, offset):
        before, self.last = self.last, (header, segment_no, offset)
        if header.segment_no + SEGMENTS != segment_no or \
           header.block_seq >= log.super.start.block_seq:
            return "block %d is of segment %d, of which nothing can be left" % (
                header.block_seq, header.segment_no)
        if before is None:
            return None
        old, old_segment, old_offset = before
        end = old_segment * log.super.segment_bytes + old_offset + block_bytes(old.n_cmds)
        behind = end == segment_no * log.super.segment_bytes + offset
        expected = link(old.header_crc, old.payload_crc, old.epoch)
        if header.block_seq <= old.block_seq or behind and (
                header.block_seq != old.block_seq + 1 or header.prev_link != expected):
            return "block %d does not belong behind block %d" % (header.block_seq, old.block_seq)
        return None


def stray_fault(log, chain, header, segment_no, offset, seen, earlier):
    k, ahead = chain.block_seq, header.block_seq - chain.block_seq
    here = (segment_no, offset) == (chain.segment_no, chain.offset)
    if header.segment_no > segment_no or header.segment_no % SEGMENTS != segment_no % SEGMENTS:
        return "block %d was moved" % header.block_seq
    if header.segment_no < segment_no:
        return earlier.fault(log, header, segment_no, offset)
    if ahead >= 0 and header.durable_seq > k:
        return "block %d was written when it was durable" % header.block_seq
    if ahead >= WINDOW:
        return "block %d is too far ahead" % header.block_seq
    if header.epoch > chain.epoch:
        return "block %d is of a later epoch" % header.block_seq
    if header.epoch < chain.epoch:
        return None
    if ahead <= 0 or here or ahead in seen:
        return "block %d is not in its place" % header.block_seq
    seen.add(ahead)
    return None


def search(log, chain, seen):
    """Every page from k's own place to the end of the live range."""
    segment_no, offset, earlier = chain.segment_no, chain.offset, EarlierUse()
    while segment_no < log.end:
        data = log.load(segment_no, offset, log.super.segment_bytes - offset)
        for at in range(0, len(data), PAGE):
            if data[at:at + 4] != b"WLBK":
                continue
            header = log.intact_header(data[at:at + 128], len(data) - at)
            if not header or header.log_uuid != log.super.log_uuid:
                continue
            own = (segment_no, offset + at) == (chain.segment_no, chain.offset)
            if own and chain.follows(header) is None:
                continue
            fault = stray_fault(log, chain, header, segment_no, offset + at, seen, earlier)
            if fault:
                return fault
        segment_no, offset = segment_no + 1, 0
    return None


def beyond(log, chain):
    """The live range ends before k: has somebody written there under a newer superblock?"""
    header, _, _ = log.intact(chain.segment_no, 0)
    return header is not None and header.log_uuid == log.super.log_uuid and \
        header.segment_no >= chain.segment_no


def other_log(log):
    """A file that begins with a block of another log, or None."""
    for segment_no in range(log.super.start.segment_no, log.end):
        header = log.intact_header(log.load(segment_no, 0, 128), log.super.segment_bytes)
        if header and header.log_uuid != log.super.log_uuid:
            return "wal-%02d is of another log" % (segment_no % SEGMENTS)
    return None


def block_before(log, chain):
    """Does the block before the chain's place lie there?"""
    segment_no, end = chain.segment_no, chain.offset
    if not end:
        segment_no, end = segment_no - 1, log.super.segment_bytes
    for size in range(PAGE, min(end, 262144) + PAGE, PAGE):
        header = log.intact_header(log.load(segment_no, end - size, 128), size)
        if header and block_bytes(header.n_cmds) == size and \
           header.block_seq == chain.block_seq - 1 and \
           link(header.header_crc, header.payload_crc, header.epoch) == chain.prev_link:
            return True
    return False


def judge_bytes(log, chain, seen):
    if not chain.agrees():
        return "DAMAGED", "a snapshot was taken of another log"
    verdict, why = None, ""
    if chain.segment_no < log.end:
        verdict, why = judge_place(log, chain)
        fault = search(log, chain, seen)
        if fault:
            return "DAMAGED", fault
    elif beyond(log, chain):
        return "DAMAGED", "a newer superblock was lost"
    other = other_log(log)
    if other:
        return "DAMAGED", other
    if not chain.blocks and \
       chain.block_seq > log.super.start.block_seq and not block_before(log, chain):
        return "DAMAGED", "the block before the snapshot is not there"
    return verdict, why


def judge(log, chain):
    seen = set()
    verdict, why = judge_bytes(log, chain, seen)
    if verdict == "DAMAGED":
        return verdict, why
    close = log.super.close_block_seq
    if close and close >= chain.block_seq:
        return "DAMAGED", "the log was closed after block %d" % close
    held = max([e.place.block_seq for e in log.super.snapshots if e.sequence], default=0)
    if held > chain.block_seq:
        return "DAMAGED", "a snapshot holds the blocks below %d" % held
    if verdict is None and seen:
        return "TORN", "later blocks arrived before it"
    return verdict or "INTACT", why


# ------------------------------------------------------------------------------------- snapshots
def read_snapshot(log, entry):
    """The records of a named snapshot; raises Refused with what is wrong."""
    name = "snap-%d" % (entry.sequence % 2)
    data = log.whole(name, log.super.snapshot_file_bytes)
    head = Record(SNAPSHOT, SNAPSHOT_NAMES, data)
    bad = lambda what: Refused(5, "%s: %s" % (name, what))
    if head.magic != 0x50414E5357434C53 or head.version != 2 or head.semantics != RULES:
        raise bad("no header of this version")
    if head.header_crc != crc32c(data[:204]) or head.header_crc != entry.header_crc:
        raise bad("header_crc")
    if head.log_uuid != log.super.log_uuid or head.sequence != entry.sequence or \
       head.bytes != entry.bytes or head.state_hash != entry.state_hash or \
       head.place != entry.place_bytes or head.limits != log.super.limits:
        raise bad("not what the superblock says")
    chunks = (head.records + 1022) // 1023
    if not head.records or head.bytes != PAGE + chunks * 65536 or head.bytes > len(data):
        raise bad("bytes")
    crcs, records = b"", []
    for index in range(chunks):
        at = PAGE + index * 65536
        chunk = Record(CHUNK, CHUNK_NAMES, data[at:at + 64])
        want = min(1023, head.records - index * 1023)
        if (chunk.magic, chunk.log_uuid, chunk.sequence, chunk.index, chunk.cmd_seq,
                chunk.n_records) != (0x4B434853, head.log_uuid, head.sequence, index,
                                     entry.place.cmd_seq, want):
            raise bad("chunk %d: header" % index)
        if chunk.crc != crc32c(data[at + 8:at + 65536]):
            raise bad("chunk %d: crc" % index)
        crcs += data[at + 4:at + 8]
        records += [data[at + 64 * i:at + 64 * i + 64] for i in range(1, want + 1)]
    if crc32c(crcs) != head.chunks_crc:
        raise bad("chunks_crc")
    return head, records


def choose_base(log):
    """(number, place, what is wrong with the ones passed over)."""
    faults = []
    for entry in sorted(log.super.snapshots, key=lambda e: -e.sequence):
        if not entry.sequence:
            continue
        try:
            read_snapshot(log, entry)
            return entry.sequence, entry.place, faults
        except Refused as fault:
            faults.append(str(fault))
    if log.super.start.block_seq == 0:
        return 0, log.super.start, faults
    raise Refused(5, "no snapshot can be started from: " + "; ".join(faults))


RECORDS = {  # type: name, has a side, names of the small bytes, names of the words
    1: ("core", False, "", "chain time_ns symbols orders sessions far_created rebases"),
    2: ("stats", False, "part",
        "commands reports md_events accepted rejected trades traded_qty"),
    3: ("symbol", False, "price_decimals qty_decimals phase phase_before",
        "id cmd_seq last_price bid_price bid_qty ask_price ask_qty"),
    4: ("name", False, "", "name name name"),
    5: ("ladder", True, "", "base far_touches"),
    6: ("order", True, "", "order_id price leaves qty symbol account"),
    7: ("session", False, "", "id last place"),
    8: ("end", False, "", "records"),
}
MORE_STATS = "cancelled duplicates"


def read_record(data):
    """(kind, fields) of one record of 64 bytes."""
    kind, side = struct.unpack_from("<HB", data)
    small, words = data[3:8], struct.unpack_from("<7Q", data, 8)
    if kind not in RECORDS:
        raise Refused(5, "a record of type %d" % kind)
    name, sided, smalls, names = RECORDS[kind]
    smalls, names = smalls.split(), names.split()
    if name == "stats" and small[0] == 1:
        names = MORE_STATS.split()
    if any(small[len(smalls):]) or any(words[len(names):]) or side not in ((1, 2) if sided else (0,)):
        raise Refused(5, "a record of type %d with bytes that mean nothing" % kind)
    fields = dict(zip(smalls, small))
    fields.update(zip(names, words))
    if name == "name":
        fields["name"] = data[8:32].rstrip(b"\0").decode("ascii")
    if sided:
        fields["side"] = side
    return name, fields


def check_sessions(rows, sessions_max):
    """Every source stands where one finds it who looks from its home on."""
    size = 16
    while size < 2 * sessions_max:
        size *= 2
    places = {row["place"]: row["id"] for row in rows}
    for place, number in places.items():
        at = (number * 0x9E3779B97F4A7C15 & M64) >> 32 & size - 1
        while at in places and at != place:
            at = (at + 1) % size
        if at != place:
            raise Refused(5, "session %d is not where its home is" % number)


def check_records(rows, sessions_max):
    """The order of the rows and what they say of each other."""
    kinds = [kind for kind, _ in rows]
    core, last = rows[0][1], rows[-1][1]
    count = {kind: kinds.count(kind) for kind in set(kinds)}
    grammar = "".join({"core": "c", "stats": "t", "symbol": "y", "name": "n", "ladder": "l",
                       "order": "o", "session": "s", "end": "e"}[kind] for kind in kinds)
    if not re.fullmatch("ctt(ynllo*)*s*e", grammar):
        raise Refused(5, "the records are not in order")
    if last["records"] != len(rows) or core["symbols"] != count.get("symbol", 0) or \
       core["orders"] != count.get("order", 0) or core["sessions"] != count.get("session", 0):
        raise Refused(5, "the records count others than came")
    for kind, row in rows:
        if kind == "order" and not 1 <= row["leaves"] <= row["qty"] <= 1 << 62:
            raise Refused(5, "an order of no quantity")
    check_sessions([row for kind, row in rows if kind == "session"], sessions_max)


def main(args):
    check_checksums()
    if not args or args[0].startswith("-"):
        sys.stderr.write(__doc__)
        return 2
    log = Log(args[0])
    if "--records" in args:
        number = int(args[args.index("--records") + 1])
        for entry in log.super.snapshots:
            if entry.sequence == number:
                rows = [read_record(data) for data in read_snapshot(log, entry)[1]]
                check_records(rows, log.super.sessions_max)
                for kind, fields in rows:
                    print(kind, " ".join("%s=%s" % item for item in fields.items()))
                return 0
        raise Refused(4, "snapshot %d is not named" % number)
    base, place, faults = choose_base(log) if "--from-start" not in args and \
        "--commands" not in args else (0, log.super.start, [])
    chain = Chain(log, place)
    for header, payload in chain.walk():
        for i in range(header.n_cmds if "--commands" in args else 0):
            print(header.first_cmd_seq + i, header.block_seq, header.epoch,
                  payload[120 * i:120 * i + 120].hex())
    verdict, why = judge(log, chain)
    if "--commands" not in args:
        print(json.dumps({
            "verdict": verdict, "why": why, "base": base, "faults": faults,
            "file": "wal-%02d" % (chain.segment_no % SEGMENTS), "offset_bytes": chain.offset,
            "block": chain.block_seq, "blocks_count": chain.blocks,
            "commands_count": chain.cmd_seq - chain.first_cmd_seq,
            "start_block": log.super.start.block_seq, "epoch": chain.epoch,
            "next_cmd_seq": chain.cmd_seq,
            "snapshots": sorted(e.sequence for e in log.super.snapshots if e.sequence)}))
    return 5 if verdict == "DAMAGED" else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as refused:
        print(json.dumps({"refused": str(refused)}))
        sys.exit(refused.code)
    except BrokenPipeError:
        sys.exit(0)
