# Reports are published when their command was executed, durable or not.
# file: engine/publish.c
s/const bool shows_submitted = engine->options.durability == ENGINE_ASYNC &&/const bool shows_submitted = true ||/
