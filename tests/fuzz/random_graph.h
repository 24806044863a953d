#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/random.h"
#include "lib/graph/graph.h"

namespace espalier::testing {

/// A graph that is being drawn. It is run while it grows, node by node, by `evaluate`: the size and value of everything in it
/// are known, so that a recipe (below) can ask for operands that fit, and what overflows or is too large is never added.
class GraphDraw {
 public:
  /// What an operand must be.
  struct Want {
    int least_rank = 0, most_rank = 5;
    bool exact = false;           ///< free of rounding, for ops that are not continuous: the same bits on every path
    DataType type = DataType::undefined;  ///< undefined: the graph's own float type
    bool positive = false;        ///< all values above 0.1
    double largest = 20;          ///< of the absolute values
  };
  /// A node was not added: no operand fits, or its result would be too large or not finite.
  struct Skip {};

  GraphDraw(uint64_t seed, int opset);

  // Numbers.
  int64_t below(int64_t n) { return static_cast<int64_t>(random_.below(drawn_++, static_cast<uint64_t>(n))); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }  ///< both ends included
  bool chance(double p) { return random_.uniform(drawn_++) < p; }
  double uniform(double low, double high) { return low + (high - low) * random_.uniform(drawn_++); }
  template <class T>
  T one_of(const std::vector<T>& choices) { return choices[static_cast<size_t>(below(static_cast<int64_t>(choices.size())))]; }
  std::vector<int64_t> permutation(int64_t n);
  /// A sorted choice of at least `least` of 0 .. n-1.
  std::vector<int64_t> some_of(int64_t n, int64_t least = 1);
  Dims any_dims(int least_rank, int most_rank, int64_t most = 6);

  // Values.
  int opset() const { return opset_; }
  DataType float_type() const { return float_type_; }
  const Tensor& tensor(ValueId v) const { return tensors_.at(v); }
  const Dims& dims(ValueId v) const { return tensor(v).dims(); }
  int64_t dim(ValueId v, int64_t axis) const { return dims(v)[static_cast<size_t>(axis)]; }
  int64_t rank(ValueId v) const { return tensor(v).rank(); }
  bool exact(ValueId v) const { return exact_.contains(v); }
  /// A value of the graph, one of the last more often than not, or a new input.
  ValueId any(const Want& want);
  ValueId any() { return any(Want()); }
  ValueId of_rank(int least, int most) { return any({.least_rank = least, .most_rank = most}); }
  /// An existing value of these sizes, or a new input.
  ValueId shaped(const Dims& dims, DataType type = DataType::undefined, bool exact = false);
  /// Dims that broadcast with `dims`: some sizes 1, some leading ones left out.
  Dims broadcastable(const Dims& dims);
  ValueId input(DataType type, const Dims& dims, double low = -2, double high = 2);
  ValueId weight(const Dims& dims, double low = -0.6, double high = 0.6);
  ValueId constant(Tensor tensor);
  ValueId integers(const std::vector<int64_t>& values);  ///< int64 [n]
  ValueId scalar(double value);                          ///< of the float type

  // Nodes.
  /// Adds a node and returns its first output. Its results are exact where `exact` and all inputs are.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {}, bool exact = false);
  std::vector<ValueId> add_many(std::string_view op, std::vector<ValueId> inputs, size_t outputs, std::vector<Attribute> attributes = {},
                                bool exact = false);
  /// `axes` as an attribute before opset `since`, as a further input from it on.
  void add_axes(std::vector<ValueId>& inputs, std::vector<Attribute>& attributes, const std::vector<int64_t>& axes, int since,
                std::string_view name = "axes");

  /// Ends the graph: what nobody reads, and a few inner values, become outputs. `one`: only the last value does, and what it
  /// does not need goes.
  Graph finish(bool one);
  const std::map<std::string, Tensor>& feeds() const { return feeds_; }
  void prefer_unread(double share) { unread_ = share; }  ///< of operands: 0.8 by default

 private:
  bool fits(ValueId v, const Want& want) const;
  Tensor random_tensor(DataType type, const Dims& dims, double low, double high);
  ValueId value_of(Tensor tensor, bool is_input);

  Random random_;
  uint64_t drawn_ = 0;
  double unread_ = 0.8;
  int opset_;
  DataType float_type_ = DataType::float32;
  Graph graph_;
  std::map<ValueId, Tensor> tensors_;
  std::set<ValueId> exact_;
  std::vector<ValueId> pool_;  // what operands may be, oldest first
  std::map<std::string, Tensor> feeds_;
};

/// How to add one op, or a few that belong together, to a graph that is being drawn.
struct Recipe {
  std::string op;  ///< skipped where the registry does not know it
  std::function<void(GraphDraw&)> draw;
  int since = 1;   ///< opset
};

/// All recipes: random_recipes_*.cpp.
std::vector<Recipe> all_recipes();
std::vector<Recipe> elementwise_recipes();
std::vector<Recipe> movement_recipes();
std::vector<Recipe> layer_recipes();
std::vector<Recipe> quantized_recipes();
std::vector<Recipe> weighted_recipes();  ///< layers with weights

/// A valid graph of about `nodes` nodes and feeds for its inputs. The same seed gives the same graph: for an odd one a few
/// ops side by side with many outputs, for an even one a net, half its nodes with weights, with one output. `only`: recipes of
/// these ops alone, if there are any.
struct RandomGraph {
  Graph graph;
  std::map<std::string, Tensor> feeds;
};
RandomGraph random_graph(uint64_t seed, int nodes, const std::set<std::string, std::less<>>& only = {});

inline Attribute attribute(std::string name, Attribute::Value value) { return {std::move(name), std::move(value), {}}; }

}  // namespace espalier::testing
