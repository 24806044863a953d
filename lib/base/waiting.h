#pragma once

#include <string_view>

namespace espalier {

/// Whether more tasks want to run than there are CPUs, by the text of /proc/loadavg ("0.2 0.3 0.4 5/300 1234": five).
bool oversubscribed(std::string_view loadavg, unsigned cpus);

/// OpenMP's threads spin while they wait for one another. That is fastest where each has a CPU of its own; on a machine with
/// more to do they burn the time that the others need (a training step took ten times as long, measured). libgomp reads
/// its policy from the environment when it is loaded, so on a busy machine, unless the user chose a policy, the program is
/// started again with OMP_WAIT_POLICY=passive. Results do not depend on it. Returns where there is nothing to do.
void wait_as_the_machine_allows(char** argv);

}  // namespace espalier
