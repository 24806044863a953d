#include <algorithm>
#include <array>

#include "lib/ops/op.h"

namespace espalier {
namespace ops {
// One line an operator, sorted by domain and name; each is defined in the file of its name or its family.
extern const Op identity;
}  // namespace ops

namespace {

constexpr std::array kOps = {
    &ops::identity,
};

bool before(const Op* op, std::pair<std::string_view, std::string_view> key) {
  return std::pair(op->domain, op->name) < key;
}

}  // namespace

const Op* find_op(std::string_view domain, std::string_view name) {
  const auto key = std::pair(domain, name);
  const auto found = std::lower_bound(kOps.begin(), kOps.end(), key, before);
  return found != kOps.end() && std::pair((*found)->domain, (*found)->name) == key ? *found : nullptr;
}

const Op* find_op(const Node& node) {
  const Op* op = find_op(node.domain, node.op_type);
  return op && node.version >= op->since && node.version <= op->until ? op : nullptr;
}

std::span<const Op* const> all_ops() { return kOps; }

}  // namespace espalier
