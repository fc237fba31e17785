# A state that is restored does not know what its sources have sent.
# file: engine/core/image_take.c
s/(uint32_t)r->words\[SESSION_ID\], r->words\[SESSION_LAST\]))/(uint32_t)r->words[SESSION_ID], 1))/
