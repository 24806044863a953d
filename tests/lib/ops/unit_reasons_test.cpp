#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lib/ops/op.h"
#include "lib/ops/unit_reasons.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Node node_of(std::string_view op, const std::string& domain = "") {
  Node node;
  node.op_type = op;
  node.domain = domain;
  node.version = 22;
  return node;
}

// What has no unit rule freezes what reaches it, and the user reads why. Those without an operand freeze nothing.
TEST(FreezeReason, EveryOperatorWithoutAUnitRuleHasASentenceOfItsOwn) {
  const std::set<std::string_view> sources = {"BlackmanWindow", "Constant", "HammingWindow", "HannWindow", "RandomNormal", "RandomUniform", "SequenceEmpty"};
  for (const Op* op : all_ops()) {
    if (!op->domain.empty() || op->units || sources.contains(op->name)) continue;
    Node node = node_of(op->name);
    node.version = op->until;
    if (!find_op(node)) continue;
    EXPECT_THAT(freeze_reason(node, true), Not(HasSubstr("in this form"))) << op->name;
  }
}

TEST(FreezeReason, TellsTheUnknownFromSizesAndForms) {
  EXPECT_EQ(freeze_reason(node_of("Strange", "my.domain"), true), "my.domain.Strange is an operator that is not known here");
  EXPECT_EQ(freeze_reason(node_of("Relu"), false), "Relu has sizes that depend on data");
  EXPECT_EQ(freeze_reason(node_of("Gemm"), true), "Gemm in this form needs all of it");
  EXPECT_EQ(freeze_reason(node_of("Unique"), false), "Unique compares all of it");
}

}  // namespace
}  // namespace espalier
