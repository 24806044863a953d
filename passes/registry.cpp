#include <algorithm>
#include <array>

#include "passes/pass.h"

namespace espalier {
namespace passes {
// One line a pass, sorted by name; each is defined in the file of its name.
extern const Pass remove_dead_code;
}  // namespace passes

namespace {

constexpr std::array kPasses = {
    &passes::remove_dead_code,
};

}  // namespace

std::span<const Pass* const> all_passes() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  const auto found = std::find_if(kPasses.begin(), kPasses.end(), [&](const Pass* p) { return p->name == name; });
  return found == kPasses.end() ? nullptr : *found;
}

}  // namespace espalier
