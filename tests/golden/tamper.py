#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Damages a copy of a log in one named way; checksums are made right again where the name says so.

    tamper.py DIR WAY [OTHER]     OTHER: another log's directory, for ways that need one
    tamper.py --list              the ways, with the verdict that must follow: a line each

Verdicts: INTACT, TORN, DAMAGED (exit 5 of wal inspect), REFUSED (5, no end is found), VERSION (4).
"""
import os
import shutil
import struct
import sys

import wal_reader
from wal_reader import PAGE, crc32c

WAYS = {}


def way(verdict, shape="epochs"):
    def add(function):
        WAYS[function.__name__] = (function, verdict, shape)
        return function
    return add


class Image:
    def __init__(self, path, other):
        self.path, self.other = path, other
        self.log = wal_reader.Log(path)
        chain = wal_reader.Chain(self.log, self.log.super.start)
        self.blocks = []  # (segment_no, offset, size, header)
        place = (chain.segment_no, chain.offset)
        for header, payload in chain.walk():
            self.blocks.append((*place, 128 + len(payload), header))
            place = (chain.segment_no, chain.offset)
        self.end = place

    def file(self, segment_no):
        return "wal-%02d" % (segment_no % 16)

    def peek(self, name, offset, size):
        with open(os.path.join(self.path, name), "rb") as file:
            file.seek(offset)
            return file.read(size)

    def poke(self, name, offset, data):
        with open(os.path.join(self.path, name), "r+b") as file:
            file.seek(offset)
            file.write(data)

    def flip(self, name, offset, bit=0):
        self.poke(name, offset, bytes([self.peek(name, offset, 1)[0] ^ 1 << bit]))

    def block(self, i):
        segment_no, offset, size, _ = self.blocks[i]
        return self.peek(self.file(segment_no), offset, size)

    def put(self, i, data):
        segment_no, offset, _, _ = self.blocks[i]
        self.poke(self.file(segment_no), offset, data)

    def flip_block(self, i, at):
        segment_no, offset, _, _ = self.blocks[i]
        self.flip(self.file(segment_no), offset + at)

    def repair(self, data):
        """Both checksums of a block."""
        data = bytearray(data)
        struct.pack_into("<I", data, 12, crc32c(bytes(data[128:])))
        struct.pack_into("<I", data, 8, crc32c(bytes(data[12:128]), crc32c(bytes(data[:8]))))
        return bytes(data)

    def change(self, i, layout, at, value):
        """A header's field, with checksums that agree."""
        data = bytearray(self.block(i))
        struct.pack_into(layout, data, at, value)
        self.put(i, self.repair(data))

    def super_copy(self, newest=0):
        """Offset of the newest copy, or of the one so many before it."""
        return (self.log.super.sequence - newest) % 4 * PAGE

    def change_super(self, layout, at, value, copies=1):
        for i in range(copies):
            offset = self.super_copy(i)
            data = bytearray(self.peek("super", offset, 512))
            struct.pack_into(layout, data, at, value)
            struct.pack_into("<I", data, 508, crc32c(bytes(data[:508])))
            self.poke("super", offset, bytes(data))

    def snapshot(self, newest=True):
        numbers = sorted(e.sequence for e in self.log.super.snapshots)
        return "snap-%d" % (numbers[newest] % 2)


MIDDLE = 20  # a block with others behind it


@way("INTACT")
def nothing(image):
    pass


# ---------------------------------------------------------------------------- one flipped bit
def flipped(name, at):
    WAYS["flip_" + name] = (lambda image: image.flip_block(MIDDLE, at), "DAMAGED", "epochs")


for name, at in (("magic", 0), ("version", 4), ("flags", 6), ("header_crc", 8), ("payload_crc", 12),
                 ("uuid", 20), ("seq", 32), ("epoch", 40), ("segment", 44), ("link", 48),
                 ("witness", 56), ("first_cmd", 64), ("length", 72), ("ring", 80),
                 ("reports_taken", 96), ("time", 104), ("hash", 112), ("payload", 200)):
    flipped(name, at)


@way("DAMAGED")
def flip_padding(image):
    image.flip_block(MIDDLE, image.blocks[MIDDLE][2] - 1)


@way("DAMAGED", "sealed")
def flip_last_sealed(image):
    image.flip_block(len(image.blocks) - 2, 140)


@way("TORN", "open")
def flip_last_unsealed(image):
    image.flip_block(len(image.blocks) - 1, 140)


# ------------------------------------------------------------------------ blocks that were moved
@way("DAMAGED")
def swap(image):
    i = next(i for i in range(MIDDLE, len(image.blocks) - 1)
             if image.blocks[i][2] == image.blocks[i + 1][2])
    a, b = image.block(i), image.block(i + 1)
    image.put(i, b)
    image.put(i + 1, a)


@way("DAMAGED")
def duplicate_behind(image):
    segment_no, offset = image.end
    image.poke(image.file(segment_no), offset, image.block(len(image.blocks) - 2))


@way("DAMAGED")
def duplicate_elsewhere(image):
    image.poke("wal-05", 8192, image.block(MIDDLE))


@way("INTACT")
def other_log_behind_the_end(image):
    """A client may have written it: inside a segment it says nothing."""
    segment_no, offset = image.end
    image.poke(image.file(segment_no), offset, Image(image.other, None).block(3))


@way("DAMAGED")
def other_log_in_a_file(image):
    image.poke("wal-09", 0, Image(image.other, None).block(0))


@way("DAMAGED")
def header_alone_of_a_later_epoch(image):
    segment_no, offset = image.end
    data = bytearray(image.block(MIDDLE))
    struct.pack_into("<I", data, 40, 9)
    data = bytearray(image.repair(data))
    data[-1] ^= 1
    image.poke(image.file(segment_no), offset + 5 * PAGE, data)


def older_segment(image, segment_no):
    """A segment as it was before its present use."""
    image.poke(image.file(segment_no), 0, bytes(image.log.super.segment_bytes))


@way("DAMAGED", "round")
def older_middle_segment(image):
    older_segment(image, image.end[0] - 1)


@way("INTACT", "round")
def older_last_segment(image):
    """All witnesses are in the same file: the page says so under what cannot be known."""
    older_segment(image, image.end[0])


@way("DAMAGED", "round")
def old_use_in_wrong_place(image):
    """A block of an earlier use, copied to another place of its own file."""
    name, size = image.file(image.end[0] + 2), 262144
    data = image.peek(name, 0, size)
    image.poke(name, image.log.super.segment_bytes - size, data)


# --------------------------------------------------------------- right checksums, absurd content
@way("DAMAGED")
def absurd_n_cmds(image):
    image.change(MIDDLE, "<I", 72, 0xFFFFFFFF)


@way("DAMAGED")
def absurd_payload_bytes(image):
    image.change(MIDDLE, "<I", 76, 0x7FFFFFFF)


@way("DAMAGED")
def absurd_cmd_gap(image):
    image.change(MIDDLE, "<Q", 64, 1 << 40)


@way("DAMAGED")
def absurd_epoch_back(image):
    image.change(MIDDLE, "<I", 40, 0)


@way("DAMAGED")
def absurd_flags(image):
    image.change(MIDDLE, "<H", 6, 0x8001)


@way("DAMAGED")
def absurd_witness(image):
    image.change(MIDDLE, "<Q", 56, 1 << 60)


@way("DAMAGED")
def absurd_reports_taken(image):
    image.change(MIDDLE, "<Q", 96, 1 << 60)


@way("TORN", "open")
def absurd_last(image):
    """The last block, so that nothing behind it is a witness: refused or cut, never taken."""
    last = len(image.blocks) - 1
    segment_no, offset, _, _ = image.blocks[last]
    image.flip(image.file(segment_no), offset + 64)


# ------------------------------------------------------------------------------------------ files
def file_gone(image, name):
    os.unlink(os.path.join(image.path, name))


@way("REFUSED")
def segment_missing(image):
    file_gone(image, "wal-07")


@way("REFUSED")
def segment_empty(image):
    os.truncate(os.path.join(image.path, "wal-00"), 0)


@way("REFUSED")
def segment_short(image):
    os.truncate(os.path.join(image.path, "wal-15"), image.log.super.segment_bytes - 1)


@way("INTACT")
def segment_extra(image):
    shutil.copy(os.path.join(image.path, "wal-00"), os.path.join(image.path, "wal-16"))


@way("REFUSED", "snap")
def snapshot_missing(image):
    file_gone(image, "snap-1")


@way("INTACT")
def probe_missing(image):
    file_gone(image, "probe")


# ------------------------------------------------------------------------------------- superblock
def super_bad(copies, verdict):
    def damage(image):
        for i in range(copies):
            image.flip("super", image.super_copy(i) + 100)
    WAYS["super_%d_bad" % copies] = (damage, verdict, "clean")


# The newest copy says that the log was closed; the ones before it do not.
for copies, verdict in ((1, "INTACT"), (2, "INTACT"), (3, "INTACT"), (4, "REFUSED")):
    super_bad(copies, verdict)


@way("REFUSED")
def super_same_sequence(image):
    offset = image.super_copy(1)
    data = bytearray(image.peek("super", image.super_copy(), 512))
    data[72] ^= 1
    struct.pack_into("<I", data, 508, crc32c(bytes(data[:508])))
    image.poke("super", offset, bytes(data))


@way("REFUSED")
def super_parent(image):
    image.change_super("<Q", 40, 12345)


@way("VERSION")
def super_version_1(image):
    image.change_super("<I", 8, 1, 4)


@way("VERSION")
def super_version_3(image):
    image.change_super("<I", 8, 3, 4)


@way("VERSION")
def super_semantics(image):
    image.change_super("<I", 12, 77)


@way("DAMAGED", "clean")
def close_missing(image):
    last = len(image.blocks) - 1
    segment_no, offset, _, _ = image.blocks[last]
    image.poke(image.file(segment_no), offset, bytes(PAGE))


# -------------------------------------------------------------------------------------- snapshots
@way("INTACT", "snap")
def snapshot_newest_rotten(image):
    image.flip(image.snapshot(), PAGE + 700)


@way("INTACT", "snap")
def snapshot_older_rotten(image):
    image.flip(image.snapshot(False), PAGE + 700)


@way("INTACT", "snap")
def snapshot_header_rotten(image):
    image.flip(image.snapshot(), 60)


@way("REFUSED", "snap")
def snapshot_both_rotten(image):
    image.flip("snap-0", PAGE + 700)
    image.flip("snap-1", PAGE + 700)


@way("REFUSED", "snap")
def snapshot_chunks_swapped(image):
    a, b = image.peek("snap-0", 0, 8192), image.peek("snap-1", 0, 8192)
    image.poke("snap-0", 0, b)
    image.poke("snap-1", 0, a)


@way("DAMAGED", "snap")
def snapshot_newer_than_log(image):
    """All behind the older snapshot's place is gone; the newest one is not whole."""
    place = min((e for e in image.log.super.snapshots), key=lambda e: e.sequence).place
    image.poke("wal-00", place.offset, bytes(image.log.super.segment_bytes - place.offset))
    image.flip(image.snapshot(), PAGE + 700)


@way("DAMAGED", "snap")
def segments_older_than_snapshot(image):
    image.poke("wal-00", 0, bytes(image.log.super.segment_bytes))


@way("INTACT", "snap")
def before_newest_rotten(image):
    """Between the two snapshots: only who reads from the start sees it."""
    image.flip_block(3, 140)


# ------------------------------------------------------------------------------------- torn tails
@way("TORN", "open")
def torn_half(image):
    segment_no, offset, size, _ = image.blocks[-1]
    image.poke(image.file(segment_no), offset + 512, bytes(size - 512))


@way("TORN", "open")
def torn_head(image):
    segment_no, offset, _, _ = image.blocks[-1]
    image.poke(image.file(segment_no), offset, bytes(512))


def main(args):
    if args == ["--list"]:
        for name, (_, verdict, shape) in WAYS.items():
            print(name, verdict, shape)
        return 0
    function, _, _ = WAYS[args[1]]
    function(Image(args[0], args[2] if len(args) > 2 else None))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
