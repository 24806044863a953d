#include "tools/command.h"

namespace espalier {
namespace commands {
// One line a command; each is defined in the file of its name.
extern const Command bench, compare, evaluate, finetune, info, ops, optimize, passes, prune, simplify, slim;
}  // namespace commands

namespace {
// In the order of the help.
constexpr const Command* kCommands[] = {
    &commands::info,     &commands::slim,     &commands::simplify, &commands::prune, &commands::finetune, &commands::optimize,
    &commands::evaluate, &commands::compare,  &commands::bench,    &commands::ops,   &commands::passes,
};
}  // namespace

std::span<const Command* const> all_commands() { return kCommands; }

}  // namespace espalier
