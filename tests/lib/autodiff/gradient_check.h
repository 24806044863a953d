#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier::testing {

struct GradientCheck {
  double low = -1, high = 1;            ///< range of the float inputs, whose values are all distinct and never 0
  std::map<std::string, Tensor> feeds = {};  ///< values of other inputs, or instead of random ones
  std::set<std::string> fixed = {};     ///< float inputs that no gradient is asked for
  bool output_is_loss = false;          ///< else the loss is the mean squared distance of the first output from a target
  double tolerance = 1e-6;              ///< relative to 1 + |gradient|
};

/// Compares the gradients that differentiate() builds for all float inputs of a graph in text form with central
/// differences, everything in double. The symbol `n` in shapes is 2. Returns what is wrong, or an empty string.
std::string check_gradients(const std::string& text, const GradientCheck& options = {});
#define EXPECT_GRADIENTS(...) EXPECT_EQ(check_gradients(__VA_ARGS__), "")

/// A graph of the single node `y = <node>` over the inputs `declared`.
std::string one(const std::string& declared, const std::string& node, const std::string& constants = "", int opset = 17);

/// What check_gradients() differentiates: the graph with its loss, which is its last output.
struct GradientProblem {
  Graph graph;
  ValueId loss = kNone;
  std::vector<ValueId> wanted;
  std::map<std::string, Tensor> feeds;  ///< floats in double: those of the options, and values all distinct for the others
};
GradientProblem gradient_problem(const std::string& text, const GradientCheck& options);

/// A TEST whose calls of check_gradients() can be listed without being run.
#define GRADIENT_TEST(suite, name)                                                                            \
  static void suite##_##name##_cases();                                                                       \
  static const bool suite##_##name##_listed = add_gradient_test(#suite "." #name, &suite##_##name##_cases);   \
  TEST(suite, name) { suite##_##name##_cases(); }                                                             \
  static void suite##_##name##_cases()

bool add_gradient_test(const char* name, void (*cases)());

struct GradientCase {
  std::string test;  ///< suite and name
  std::string text;  ///< the graph
  GradientCheck options;
};

/// Every call of check_gradients() in every GRADIENT_TEST of this program.
std::vector<GradientCase> gradient_cases();

}  // namespace espalier::testing
