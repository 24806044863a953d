#include "lib/ops/random_stream.h"

#include <bit>

#include "lib/ops/op.h"

namespace espalier {

uint32_t stream_of(const std::string& name, uint32_t outer) {
  for (const char letter : name) outer = (outer ^ static_cast<unsigned char>(letter)) * 16777619u;
  return outer * 16777619u;
}

Random random_of(const Node& node, RandomUse use) {
  if (const Attribute* own = node.find("seed")) {
    const auto* number = std::get_if<float>(&own->value);
    return {number ? std::bit_cast<uint32_t>(*number) : static_cast<uint64_t>(node.require<int64_t>("seed")), use};
  }
  if (!node.has(kRunSeed)) return {0, use, stream_of(node.name)};
  return {static_cast<uint64_t>(node.require<int64_t>(kRunSeed)), use, static_cast<uint32_t>(node.require<int64_t>(kRunStream))};
}

bool draws_numbers(const Node& node) {
  const Op* op = find_op(node);
  if (node.op_type == "Dropout" && !node.has_input(2)) return false;  // of inference
  return op && !op->deterministic;
}

}  // namespace espalier
