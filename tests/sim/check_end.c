/* SPDX-License-Identifier: MIT */
/* check_end.c - the judge's last look: every command of every producer was executed once. */
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/roles.h"
#include "tests/sim/trace.h"

void sim_check_end(const uint64_t last[SIM_PRODUCERS], bool complete)
{
	uint64_t next[SIM_PRODUCERS] = {1, 1, 1};
	const struct sluice_command *command;

	for (uint64_t i = 0; (command = sim_check_command(i)); i++) {
		const uint32_t source = command->session - 1;
		struct sluice_command expected;

		if (command->head.type == SLUICE_CMD_VOID)
			continue;
		if (source >= SIM_PRODUCERS || command->client_seq > next[source])
			sim_fail("I13", "command %llu is number %llu of session %u, expected was "
				 "%llu", (unsigned long long)i,
				 (unsigned long long)command->client_seq, command->session,
				 source < SIM_PRODUCERS ? (unsigned long long)next[source] : 0ull);
		sim_command(source, command->client_seq, &expected);
		expected.head.participant = command->head.participant;
		expected.send_ns = command->send_ns;
		if (memcmp(&expected, command, sizeof(expected)))
			sim_fail("I13", "command %llu is not what session %u sent as number %llu",
				 (unsigned long long)i, command->session,
				 (unsigned long long)command->client_seq);
		next[source] += command->client_seq == next[source];
	}
	for (uint32_t i = 0; complete && i < SIM_PRODUCERS; i++)
		if (next[i] != last[i] + 1)
			sim_fail("I13", "session %u sent %llu commands, executed were %llu", i + 1,
				 (unsigned long long)last[i], (unsigned long long)next[i] - 1);
}
