#include "tools/command.h"

namespace espalier {
namespace commands {
// One line a command; each is defined in the file of its name.
extern const Command bench, compare, evaluate, info, ops, optimize, passes, simplify;
}  // namespace commands

namespace {
// In the order of the help.
constexpr const Command* kCommands[] = {
    &commands::info,    &commands::optimize, &commands::simplify,
    &commands::evaluate, &commands::compare, &commands::bench, &commands::ops,      &commands::passes,
};
}  // namespace

std::span<const Command* const> all_commands() { return kCommands; }

}  // namespace espalier
