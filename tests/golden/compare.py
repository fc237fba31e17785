#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our reader, our recovery and the reader in Python on the same logs, whole and damaged.

    compare.py BIN HELPERS PLACE      programs, make_log's directory, an empty directory

Prints `pass: NAME` or `fail: NAME: WHY`.
"""
import json
import os
import shutil
import subprocess
import sys

import tamper
import wal_reader

SHAPES = "fresh clean open sealed epochs one snap round".split()
EXIT = {"INTACT": 0, "TORN": 0, "DAMAGED": 5, "REFUSED": 5, "VERSION": 4}
failures = 0


def result(name, why):
    global failures
    failures += bool(why)
    print("fail: %s: %s" % (name, why) if why else "pass: " + name)


def run(*args):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def by_python(path, from_start):
    """(code, verdict, file, offset, block, base)"""
    try:
        log = wal_reader.Log(path)
        base, place, _ = (0, log.super.start, []) if from_start else wal_reader.choose_base(log)
        chain = wal_reader.Chain(log, place)
        for _ in chain.walk():
            pass
        verdict, _ = wal_reader.judge(log, chain)
        return (5 if verdict == "DAMAGED" else 0, verdict, "wal-%02d" % (chain.segment_no % 16),
                chain.offset, chain.block_seq, base)
    except wal_reader.Refused as refused:
        return (refused.code, "VERSION" if refused.code == 4 else "REFUSED", None, None, None, None)


def by_inspect(sluice, path):
    code, out, _ = run(sluice, "wal", "inspect", "--json", path)
    row = json.loads(out)
    verdict = row["verdict"] if code != 4 else "VERSION"
    return (code, verdict, row.get("file"), row.get("offset_bytes"), row.get("block"),
            row.get("base_snapshot")), row


def by_verify(sluice, path):
    code, out, _ = run(sluice, "wal", "verify", "--no-replay", "--json", path)
    if not out:
        return (code, "VERSION" if code == 4 else "REFUSED", None, None, None)
    row = json.loads(out)
    return code, row["verdict"], row.get("file"), row.get("offset_bytes"), row.get("block")


def by_recovery(make_log, path):
    _, out, _ = run(make_log, path, "try")
    word, _, text = out.strip().partition(" ")
    return word, text


def compare(sluice, make_log, path, want):
    """What is wrong, or nothing."""
    mine = by_python(path, False)
    ours, row = by_inspect(sluice, path)
    if mine != ours:
        return "inspect says %s, python says %s" % (ours, mine)
    if want and (mine[1] != want or mine[0] != EXIT[want]):
        return "%s, expected %s" % (mine, want)
    word, text = by_recovery(make_log, path)
    if (word == "starts") != row["starts"]:
        return "recovery says %s %s, inspect says %s" % (word, text, row["text"])
    if word == "starts":
        found = dict(item.split("=") for item in text.split())
        if (int(found["block"]), int(found["snapshot"])) != (mine[4], mine[5]):
            return "recovery says %s, python says %s" % (text, mine)
    elif text != row["text"]:
        return "recovery refuses with \"%s\", inspect with \"%s\"" % (text, row["text"])
    mine, ours = by_python(path, True), by_verify(sluice, path)
    if mine[:2] != ours[:2] or mine[1] in ("TORN", "DAMAGED") and mine[:5] != ours:
        return "from the start: verify says %s, python says %s" % (ours, mine)
    return ""


def check_commands(sluice, path):
    _, out, _ = run(sluice, "wal", "dump", "--json", "--hex", path)
    ours = [(row["cmd_seq"], row["block"], row["epoch"], row["hex"])
            for row in map(json.loads, out.splitlines())]
    log = wal_reader.Log(path)
    mine = []
    for header, payload in wal_reader.Chain(log, log.super.start).walk():
        mine += [(header.first_cmd_seq + i, header.block_seq, header.epoch,
                  payload[120 * i:120 * i + 120].hex()) for i in range(header.n_cmds)]
    return "" if mine == ours else "%d commands here, %d there" % (len(mine), len(ours))


def check_records(path):
    """Each snapshot against its header, and the header against the block that goes on from it."""
    log = wal_reader.Log(path)
    entries = [entry for entry in log.super.snapshots if entry.sequence]
    for entry in entries:
        head, records = wal_reader.read_snapshot(log, entry)
        rows = [wal_reader.read_record(data) for data in records]
        wal_reader.check_records(rows, log.super.sessions_max)
        core, stats = rows[0][1], rows[1][1]
        if core["chain"] != head.chain_hash or stats["commands"] != entry.place.cmd_seq or \
           stats["reports"] + 1 != entry.place.report or \
           stats["md_events"] + 1 != entry.place.md:
            return "snapshot %d: the records are of another place" % entry.sequence
        for header, _ in wal_reader.Chain(log, entry.place).walk():
            if header.flags & (wal_reader.DATA | wal_reader.OPEN):
                if (header.state_hash, header.report_first) != (head.chain_hash,
                                                                entry.place.report):
                    return "snapshot %d: the next block has another state" % entry.sequence
                break
    return "" if entries else "no snapshot"


def main(bin_dir, helpers, place):
    sluice, make_log = os.path.join(bin_dir, "sluice"), os.path.join(helpers, "make_log")
    wal_reader.check_checksums()
    for shape in SHAPES:
        path = os.path.join(place, shape)
        code, _, text = run(make_log, path, shape, os.environ.get("SEED", "1"))
        if code:
            result("log " + shape, text)
            continue
        result("log " + shape, compare(sluice, make_log, path, "INTACT"))
        result("commands of " + shape, check_commands(sluice, path))
        if shape in ("one", "snap", "round"):
            result("records of " + shape, check_records(path))
    broken = os.path.join(place, "broken")
    for name, (function, want, shape) in tamper.WAYS.items():
        shutil.copytree(os.path.join(place, shape), broken)
        function(tamper.Image(broken, os.path.join(place, "clean")))
        result("way " + name, compare(sluice, make_log, broken, want))
        shutil.rmtree(broken)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
