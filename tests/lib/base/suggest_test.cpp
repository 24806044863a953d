#include "lib/base/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace espalier {
namespace {

const std::vector<std::string> kWords = {"finetune", "prune", "simplify", "slim"};

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("prune", "prune"), 0u);
  EXPECT_EQ(edit_distance("prune", "purne"), 1u);
  EXPECT_EQ(edit_distance("prune", "rune"), 1u);
  EXPECT_EQ(edit_distance("prune", "prunes"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Suggest, NamesTheNearestWord) {
  EXPECT_EQ(nearest_word("simplfy", kWords), "simplify");
  EXPECT_EQ(did_you_mean("prun", kWords), "did you mean 'prune'?");
}

TEST(Suggest, IsSilentWhereNoneIsNear) {
  EXPECT_EQ(nearest_word("quantize", kWords), "");
  EXPECT_EQ(nearest_word("", kWords), "");
  EXPECT_EQ(nearest_word(std::string(1000, 'p'), kWords), "");
  EXPECT_EQ(did_you_mean("quantize", kWords, "see -h"), "see -h");
}

}  // namespace
}  // namespace espalier
