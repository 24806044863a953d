#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "lib/graph/text.h"
#include "passes/pipeline.h"

namespace espalier {

struct Ran {
  Graph graph;
  PassReport report;
  int64_t count(std::string_view counter) const { return report.counters.at(std::string(counter)); }
};

/// Runs one pass (pipeline text) on a graph in the text form; its contract is verified on generated inputs, and a second run
/// must change nothing.
inline Ran run_pass(const std::string& pipeline, std::string_view text, int64_t ir_version = 8) {
  Model model;
  model.ir_version = ir_version;
  model.graph = parse_graph(text);
  const Pipeline parsed = Pipeline::parse(pipeline);
  const auto reports = parsed.run(model, {});
  Ran ran{model.graph, reports.back()};
  EXPECT_NE(ran.report.verification.state, Verification::State::unverified) << ran.report.verification.detail;
  Model again = model;
  EXPECT_FALSE(parsed.run(again, {}).back().changed) << "no fixed point: " << print_graph(again.graph);
  return ran;
}

/// Expects that the pass makes `after` of `before`, both in the text form.
inline Ran expect_pass(const std::string& pipeline, std::string_view before, std::string_view after) {
  Ran ran = run_pass(pipeline, before);
  const Graph expected = parse_graph(after);
  EXPECT_TRUE(same_graph(ran.graph, expected)) << "made:\n" << print_graph(ran.graph) << "expected:\n" << print_graph(expected);
  EXPECT_EQ(ran.report.verification.state, Verification::State::passed) << ran.report.verification.detail;
  return ran;
}

/// Expects that the pass leaves the graph as it is.
inline void expect_untouched(const std::string& pipeline, std::string_view text) {
  const Ran ran = run_pass(pipeline, text);
  EXPECT_FALSE(ran.report.changed) << print_graph(ran.graph);
}

}  // namespace espalier
