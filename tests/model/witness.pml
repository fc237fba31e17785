/* SPDX-License-Identifier: MIT */
/*
 * witness.pml - WITNESS(NAME) in a model makes the verifier print `witness: NAME` once when it comes
 * there, so that tests/model/run can tell that a model that has no error also does something.
 * Included by the models, compiled into their verifiers; no part of a state.
 */
#define WITNESS(name) c_code { witness(#name); }

c_decl {
static void witness(const char *name)
{
	static const char *seen[32];
	static unsigned int count;
	unsigned int i;

	for (i = 0; i < count; i++)
		if (seen[i] == name || !strcmp(seen[i], name))
			return;
	if (count < 32)
		seen[count++] = name;
	printf("witness: %s\n", name);
}
}
