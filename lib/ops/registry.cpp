#include <algorithm>

#include "lib/ops/op.h"
#include "lib/ops/schema_versions.h"

namespace espalier {
namespace ops {
#define OP(name) extern const Op name;
#include "lib/ops/registry.inc"
#undef OP
}  // namespace ops

namespace {

constexpr const Op* kOps[] = {  // std::array's deduction nests one expression per operator: too many for clang
#define OP(name) &ops::name,
#include "lib/ops/registry.inc"
#undef OP
};

bool before(const Op* op, std::pair<std::string_view, std::string_view> key) {
  return std::pair(op->domain, op->name) < key;
}

}  // namespace

const Op* find_op(std::string_view domain, std::string_view name) {
  const auto key = std::pair(domain, name);
  const auto found = std::lower_bound(std::begin(kOps), std::end(kOps), key, before);
  return found != std::end(kOps) && std::pair((*found)->domain, (*found)->name) == key ? *found : nullptr;
}

const Op* find_op(const Node& node) {
  const Op* op = find_op(node.domain, node.op_type);
  if (!op || node.version < op->since) return nullptr;
  return (node.domain.empty() ? schema_version(node.op_type, node.version) : node.version) <= op->until ? op : nullptr;
}

std::span<const Op* const> all_ops() { return kOps; }

}  // namespace espalier
