# A consumer that does not look at what its file holds already.
# file: consumer/main_event.c
# program: sluice-consumer
s/if (n <= run->written_n && run->options->ring != CONSUMER_CMD)/if (0)/
