#include "passes/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace espalier {
namespace {

std::string fault(std::string_view text) {
  try {
    Pipeline::parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return std::string(error.what()) + (error.hint().empty() ? "" : " | " + error.hint());
  }
  return "no error";
}

TEST(Pipeline, PrintsWhatItParses) {
  const Pipeline pipeline = Pipeline::parse("  remove-dead-code ,remove-dead-code{ }\n");
  EXPECT_EQ(pipeline.str(), "remove-dead-code, remove-dead-code");
  EXPECT_EQ(Pipeline::parse(pipeline.str()).str(), pipeline.str());
  EXPECT_TRUE(Pipeline::parse("").steps().empty());
}

TEST(Pipeline, NamesTheColumnAndTheNearestPass) {
  EXPECT_EQ(fault("remove-dead-code, remove-deadcode"),
            "pipeline, column 19: unknown pass 'remove-deadcode' | did you mean 'remove-dead-code'?");
  EXPECT_EQ(fault("remove-dead-code remove-dead-code"),
            "pipeline, column 18: found 'r', expected ',' or '{' after remove-dead-code");
  EXPECT_EQ(fault("remove-dead-code,"), "pipeline, column 18: found the end, expected a pass after ','");
  EXPECT_EQ(fault("remove-dead-code{"), "pipeline, column 18: found the end, expected '}'");
  EXPECT_EQ(fault("{}"), "pipeline, column 1: found '{', expected a pass");
  EXPECT_EQ(fault("remove-dead-code{x=1}"),
            "pipeline, column 18: remove-dead-code: unknown option 'x' | it has no options");
}

constexpr PassOption kOptions[] = {
    {"flops", PassOption::Kind::number, "", "share of MACs", "", 0.0, 1.0},
    {"criterion", PassOption::Kind::text, "taylor", "importance", "taylor|l1"},
    {"align", PassOption::Kind::integer, "1", "multiple", "", 1},
    {"frozen", PassOption::Kind::flag, "false", "freeze"},
    {"keep", PassOption::Kind::text, "", "pattern"},
};

std::string refusal(std::string_view option, std::string_view value) {
  PassOptions options(kOptions);
  try {
    options.set(option, value);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(PassOptions, HaveDefaultsAndKinds) {
  PassOptions options(kOptions);
  EXPECT_FALSE(options.has("flops"));
  EXPECT_EQ(options.text("criterion"), "taylor");
  EXPECT_EQ(options.integer("align"), 1);
  EXPECT_FALSE(options.flag("frozen"));
  EXPECT_EQ(options.str(), "");
  options.set("keep", "a b{\"}");
  options.set("flops", "1/4");
  EXPECT_DOUBLE_EQ(options.number("flops"), 0.25);
  EXPECT_EQ(options.str(), R"({flops=1/4 keep="a b{\"}"})");
}

TEST(PassOptions, RefuseWhatIsOutOfKindChoicesOrRange) {
  EXPECT_EQ(refusal("flops", "1.5"), "flops is '1.5', expected 0 to 1");
  EXPECT_EQ(refusal("flops", "half"), "flops is 'half', expected a number such as 0.5, 1e-3 or 1/255");
  EXPECT_EQ(refusal("flops", "nan"), "flops is 'nan', expected a number such as 0.5, 1e-3 or 1/255");
  EXPECT_EQ(refusal("criterion", "l2"), "criterion is 'l2', expected one of taylor, l1");
  EXPECT_EQ(refusal("align", "0"), "align is '0', expected at least 1");
  EXPECT_EQ(refusal("align", "8.5"), "align is '8.5', expected an integer");
  EXPECT_EQ(refusal("frozen", "maybe"), "frozen is 'maybe', expected true or false");
  EXPECT_EQ(refusal("flop", "1"), "unknown option 'flop'");
}

TEST(Registry, IsSortedAndComplete) {
  const auto passes = all_passes();
  EXPECT_TRUE(std::is_sorted(passes.begin(), passes.end(), [](const Pass* a, const Pass* b) { return a->name < b->name; }));
  for (const Pass* pass : passes) {
    EXPECT_EQ(find_pass(pass->name), pass);
    EXPECT_NE(pass->run, nullptr) << pass->name;
    EXPECT_FALSE(pass->summary.empty()) << pass->name;
    for (const PassOption& option : pass->options) {
      EXPECT_FALSE(option.help.empty()) << pass->name << " " << option.name;
      if (option.fallback.empty()) continue;
      PassOptions options(pass->options);
      EXPECT_NO_THROW(options.set(option.name, option.fallback)) << pass->name << " " << option.name;
    }
  }
}

}  // namespace
}  // namespace espalier
