# A snapshot is said to be whole before it is on stable media.
# file: engine/wal/snapshot.c
s/ret = writer->io->ops->sync(writer->io, writer->file);/ret = 0;/
