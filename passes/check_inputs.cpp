#include "passes/check_inputs.h"

#include <algorithm>
#include <set>

#include "lib/analysis/infer.h"
#include "lib/base/random.h"
#include "lib/tensor/dispatch.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

Dims dims_of(const Graph& graph, ValueId v, const std::map<std::string, int64_t>& symbols, int64_t guess) {
  const Value& value = graph.value(v);
  if (!value.type.is_tensor() || !value.type.has_rank()) {
    throw Error(ErrorKind::bad_data, "input '" + value.name + "' is " + value.type.str() + ", which cannot be generated")
        .hint("give inputs from a file");
  }
  Dims dims;
  for (size_t axis = 0; axis < value.type.dims->size(); ++axis) {
    const Dim dim = (*value.type.dims)[axis].substitute(symbols);
    dims.push_back(dim.known() ? dim.value() : axis == 0 ? 2 : guess);
  }
  return dims;
}

// Sizes of one symbol must agree over all inputs, so it is bound when it is first met.
std::map<std::string, Dims> guess_dims(const Graph& graph, const Resources& resources, int64_t guess) {
  std::map<std::string, int64_t> symbols = resources.symbols;
  std::map<std::string, Dims> result;
  for (const ValueId v : fed_inputs(graph)) {
    const Dims dims = dims_of(graph, v, symbols, guess);
    const Type& type = graph.value(v).type;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      if (const auto symbol = (*type.dims)[axis].symbol_name()) symbols.try_emplace(*symbol, dims[axis]);
    }
    result[graph.value(v).name] = dims_of(graph, v, symbols, guess);
  }
  return result;
}

// The size of the axis that a value indexes, if it does so directly or through ops that keep its numbers.
int64_t indexed_size(const Graph& graph, const FactTable& facts, ValueId v, int depth = 0) {
  int64_t least = 0;
  const auto found = [&](int64_t size) { least = least == 0 ? size : std::min(least, size); };
  for (const NodeId id : graph.users(v)) {
    const Node& node = graph.node(id);
    const bool gathers = node.op_type == "Gather" || node.op_type == "GatherElements";
    if (gathers && node.has_input(1) && node.inputs[1] == v) {
      const Type& data = facts.type(node.inputs[0]);
      if (!data.has_rank() || data.rank() == 0) continue;
      const Dim& size = (*data.dims)[normalize_axis(node.get<int64_t>("axis", 0), data.rank())];
      if (size.known()) found(size.value());
    } else if (node.op_type == "OneHot" && node.inputs[0] == v) {
      if (const Tensor* depth_tensor = facts.constant(node.inputs[1])) {
        found(static_cast<int64_t>(depth_tensor->to_doubles().at(0)));
      }
    } else if (depth < 8 && node.has_output(0) &&
               (node.op_type == "Cast" || node.op_type == "Identity" || (find_op(node) && find_op(node)->is_view))) {
      if (const int64_t size = indexed_size(graph, facts, node.outputs[0], depth + 1)) found(size);
    }
  }
  return least;
}

Tensor random_tensor(DataType type, const Dims& dims, int64_t bound, const Random& random) {
  Tensor result(type, dims);
  dispatch_numeric(type, [&]<class T>() {
    auto out = result.mutable_data<T>();
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (is_float_type<T>) out[i] = convert<T>(random.normal(i));
      else out[i] = convert<T>(static_cast<int64_t>(random.below(i, static_cast<uint64_t>(std::max<int64_t>(bound, 1)))));
    }
  });
  return result;
}

}  // namespace

std::vector<ValueId> fed_inputs(const Graph& graph) {
  std::vector<ValueId> result;
  for (const ValueId v : graph.inputs) {
    if (!graph.initializer(v)) result.push_back(v);
  }
  return result;
}

std::map<std::string, Dims> choose_input_dims(const Graph& graph, const Resources& resources) {
  std::string reason;
  for (const int64_t guess : {32, 64, 16, 224, 1}) {
    const auto dims = guess_dims(graph, resources, guess);
    try {
      infer(graph, {.input_dims = dims, .fold_macs = 1 << 20});
      return dims;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_data) throw;
      reason = error.what();
    }
  }
  throw Error(ErrorKind::bad_data, "no input sizes were found that fit: " + reason).hint("give the sizes of the symbols, or inputs");
}

Feeds generate_inputs(const Graph& graph, const std::map<std::string, Dims>& dims, uint64_t seed, uint32_t run) {
  const FactTable facts = infer(graph, {.input_dims = dims, .fold_macs = 1 << 20});
  Feeds feeds;
  uint32_t stream = run * 4096;
  for (const auto& [name, sizes] : dims) {
    const ValueId v = graph.find_value(name);
    const DataType type = graph.value(v).type.elem_type;
    if (type == DataType::string || type == DataType::undefined) {
      fail("input '" + name + "' is " + graph.value(v).type.str() + ", which cannot be generated");
    }
    const int64_t size = indexed_size(graph, facts, v);
    feeds[name] = random_tensor(type, sizes, size > 0 ? size : 2, Random(seed, RandomUse::check_inputs, stream++));
  }
  return feeds;
}

}  // namespace espalier
