#include <gtest/gtest.h>

#include <algorithm>

#include "lib/ops/op.h"

namespace espalier {
namespace {

TEST(Registry, IsSortedByDomainAndNameWithoutRepeats) {
  const auto ops = all_ops();
  for (size_t i = 1; i < ops.size(); ++i) {
    EXPECT_LT(std::pair(ops[i - 1]->domain, ops[i - 1]->name), std::pair(ops[i]->domain, ops[i]->name));
  }
}

TEST(Registry, EveryOperatorIsFoundAndHasTheRequiredFacets) {
  for (const Op* op : all_ops()) {
    EXPECT_EQ(find_op(op->domain, op->name), op) << op->name;
    EXPECT_TRUE(op->infer) << op->name;
    EXPECT_TRUE(op->evaluate) << op->name;
  }
}

TEST(Registry, UnknownNamesDomainsAndVersionsAreOpaque) {
  Node node;
  node.op_type = "Identity";
  node.version = 13;
  EXPECT_NE(find_op(node), nullptr);
  node.version = 99;
  EXPECT_EQ(find_op(node), nullptr);
  node.version = 13;
  node.domain = "com.example";
  EXPECT_EQ(find_op(node), nullptr);
}

}  // namespace
}  // namespace espalier
