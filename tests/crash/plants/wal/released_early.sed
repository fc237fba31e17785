# The command ring's position moves with what was executed, durable or not (at first it does not, so
# that the names of the symbols are there in time).
# file: engine/publish.c
s/if (is_after(durable, engine->in.released))/if (engine->executed > 500)\n\t\tdurable = engine->executed;\n\t&/
