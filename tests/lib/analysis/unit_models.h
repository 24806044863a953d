#pragma once

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier::testing {

/// Writes a model in our text form, op by op; every weight is random, so that a wrong gather shows.
class TextModel {
 public:
  /// input: "x: float[1,3,8,8]".
  explicit TextModel(std::string input, int opset = 13) : input_(std::move(input)), opset_(opset) {}

  std::string constant(const std::string& type_and_elements);
  std::string weight(const std::vector<int64_t>& dims, int64_t fan = 0);  ///< normal; fan 0: product of dims[1:]
  std::string small(const std::vector<int64_t>& dims);                    ///< uniform in [-0.1, 0.1]
  std::string ints(const std::vector<int64_t>& values);
  std::string op(const std::string& type, const std::vector<std::string>& inputs, const std::string& attributes = "");
  std::vector<std::string> ops(const std::string& type, const std::vector<std::string>& inputs, int outputs,
                               const std::string& attributes = "");

  std::string conv(const std::string& x, int64_t in, int64_t out, int64_t kernel = 3, int64_t group = 1);
  std::string relu(const std::string& x) { return op("Relu", {x}); }
  std::string batch_norm(const std::string& x, int64_t channels);
  std::string linear(const std::string& x, int64_t in, int64_t out);
  std::string reshape(const std::string& x, const std::vector<int64_t>& dims) { return op("Reshape", {x, ints(dims)}); }
  std::string transpose(const std::string& x, const std::vector<int64_t>& perm);
  /// LayerNormalization out of ReduceMean.
  std::string layer_norm(const std::string& x, int64_t d);

  Graph graph(const std::string& output) const;

 private:
  std::string name() { return "v" + std::to_string(++count_); }

  std::string input_, body_;
  int opset_, count_ = 0;
};

/// A synthetic model and what unit ids must find in it: UNIT_IDS.md's golden table.
struct UnitModel {
  std::string name;
  Graph graph;
  int64_t free_groups, groups, free_units;
  std::string reasons;  ///< "12 graph output, 3 Softmax over it", most first
};

std::vector<UnitModel> unit_models();

Graph million_positions();    ///< 2^20 positions joined
Graph ten_thousand_nodes();  ///< 2500 residual blocks of 64 channels

}  // namespace espalier::testing
