# Reports are visible when their block is handed to the disk.
# file: engine/publish.c
/^void engine_publish(/,/^}/s/engine->options.durability == ENGINE_ASYNC &&/1 \&\&/
