# The command ring's slots are given back when they are executed.
# file: engine/publish.c
/^void engine_publish(/,/^}/{
s/if (is_after(durable, engine->in.released))/if (is_after(engine->executed, engine->in.released))/
s/sluice_consumer_release(&engine->in, durable);/sluice_consumer_release(\&engine->in, engine->executed);/
}
