#include "tests/fuzz/random_graph.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "lib/analysis/infer.h"
#include "lib/base/error.h"
#include "lib/ops/op.h"

namespace espalier::testing {
namespace {

constexpr int64_t kMostElements = 20000;
constexpr double kLargest = 1e3;

bool sound(const Tensor& tensor) {
  if (!tensor.defined() || tensor.type() == DataType::string) return true;
  if (tensor.size() > kMostElements) return false;
  if (!is_float(tensor.type())) return true;
  const auto values = tensor.to_doubles();
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v) && std::abs(v) <= kLargest; });
}

}  // namespace

GraphDraw::GraphDraw(uint64_t seed, int opset) : random_(seed, RandomUse::test), opset_(opset) {
  graph_.name = "random";
  graph_.opsets[""] = opset;
  if (chance(0.12)) float_type_ = chance(0.7) ? DataType::float64 : DataType::float16;
}

std::vector<int64_t> GraphDraw::permutation(int64_t n) {
  std::vector<int64_t> result(static_cast<size_t>(n));
  std::iota(result.begin(), result.end(), 0);
  for (int64_t i = n - 1; i > 0; --i) std::swap(result[static_cast<size_t>(i)], result[static_cast<size_t>(below(i + 1))]);
  return result;
}

std::vector<int64_t> GraphDraw::some_of(int64_t n, int64_t least) {
  auto result = permutation(n);
  result.resize(static_cast<size_t>(between(std::min(least, n), n)));
  std::sort(result.begin(), result.end());
  return result;
}

Dims GraphDraw::any_dims(int least_rank, int most_rank, int64_t most) {
  Dims dims(static_cast<size_t>(between(least_rank, most_rank)));
  for (auto& d : dims) d = between(1, most);
  if (dims.size() >= 2 && chance(0.3)) dims[1] = between(1, 40);  // more channels than a vector holds
  return dims;
}

bool GraphDraw::fits(ValueId v, const Want& want) const {
  const Tensor& t = tensor(v);
  const DataType type = want.type == DataType::undefined ? float_type_ : want.type;
  if (t.type() != type || t.rank() < want.least_rank || t.rank() > want.most_rank || t.size() == 0) return false;
  if (want.exact && !exact(v)) return false;
  if (!is_float(type)) return true;
  const auto values = t.to_doubles();
  return std::all_of(values.begin(), values.end(),
                     [&](double x) { return std::abs(x) <= want.largest && (!want.positive || x > 0.1); });
}

ValueId GraphDraw::any(const Want& want) {
  std::vector<ValueId> fitting;
  if (chance(0.93)) {
    std::copy_if(pool_.begin(), pool_.end(), std::back_inserter(fitting), [&](ValueId v) { return fits(v, want); });
  }
  if (!fitting.empty()) {
    std::vector<ValueId> unread;  // long chains rather than many short ones
    std::copy_if(fitting.begin(), fitting.end(), std::back_inserter(unread), [&](ValueId v) { return graph_.users(v).empty(); });
    return one_of(!unread.empty() && chance(unread_) ? unread : fitting);
  }
  const DataType type = want.type == DataType::undefined ? float_type_ : want.type;
  const double high = std::min(2.0, want.largest);
  return input(type, any_dims(want.least_rank, want.most_rank), want.positive ? 0.2 : -high, high);
}

ValueId GraphDraw::shaped(const Dims& dims, DataType type, bool exact) {
  if (type == DataType::undefined) type = float_type_;
  for (auto v = pool_.rbegin(); v != pool_.rend(); ++v) {
    if (tensor(*v).type() == type && tensor(*v).dims() == dims && (!exact || exact_.contains(*v)) && chance(0.6)) return *v;
  }
  return input(type, dims);
}

Dims GraphDraw::broadcastable(const Dims& dims) {
  Dims result = dims;
  for (auto& d : result) {
    if (chance(0.3)) d = 1;
  }
  if (chance(0.4)) result.erase(result.begin(), result.begin() + below(static_cast<int64_t>(result.size()) + 1));
  return result;
}

Tensor GraphDraw::random_tensor(DataType type, const Dims& dims, double low, double high) {
  Tensor values(DataType::float64, dims);
  for (auto& v : values.mutable_data<double>()) {
    v = is_float(type) ? uniform(low, high) : type == DataType::boolean ? static_cast<double>(below(2)) : std::floor(uniform(low, high));
  }
  return values.cast(type);
}

ValueId GraphDraw::value_of(Tensor tensor, bool is_input) {
  const ValueId v = graph_.add_value(is_input ? "x" : "w", Type::tensor(tensor.type(), tensor.dims()));
  exact_.insert(v);
  if (is_input) {
    graph_.inputs.push_back(v);
    feeds_[graph_.value(v).name] = tensor;
    pool_.push_back(v);
  } else {
    graph_.set_initializer(v, tensor);
  }
  tensors_[v] = std::move(tensor);
  return v;
}

ValueId GraphDraw::input(DataType type, const Dims& dims, double low, double high) {
  if (!is_float(type) && type != DataType::boolean) low = std::max(low, 0.0), high = std::max(high, 8.0);
  return value_of(random_tensor(type, dims, low, high), true);
}

ValueId GraphDraw::weight(const Dims& dims, double low, double high) {
  return value_of(random_tensor(float_type_, dims, low, high), false);
}

ValueId GraphDraw::constant(Tensor tensor) { return value_of(std::move(tensor), false); }

ValueId GraphDraw::integers(const std::vector<int64_t>& values) {
  return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId GraphDraw::scalar(double value) { return constant(Tensor::scalar<double>(value).cast(float_type_)); }

ValueId GraphDraw::add(std::string_view op, std::vector<ValueId> inputs, std::vector<Attribute> attributes, bool exact) {
  return add_many(op, std::move(inputs), 1, std::move(attributes), exact).front();
}

std::vector<ValueId> GraphDraw::add_many(std::string_view op, std::vector<ValueId> inputs, size_t outputs,
                                         std::vector<Attribute> attributes, bool exact) {
  Node node;
  node.op_type = op;
  node.attributes = std::move(attributes);
  node.version = opset_;
  std::vector<const Tensor*> operands;
  for (const ValueId v : inputs) {
    operands.push_back(v == kNone ? nullptr : &tensor(v));
    exact = exact && (v == kNone || exact_.contains(v));
  }
  node.inputs = std::move(inputs);
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(graph_.add_value("v"));
  const auto results = node.outputs;
  node.name = graph_.value(results.front()).name;
  const NodeId id = graph_.add_node(std::move(node));
  const auto values = evaluate_node(graph_, id, operands);
  if (!std::all_of(values.begin(), values.end(), sound)) {
    graph_.erase_node(id);
    throw Skip();
  }
  for (size_t i = 0; i < outputs; ++i) {
    const ValueId v = results[i];
    tensors_[v] = values[i];
    if (exact || !is_float(values[i].type())) exact_.insert(v);
    if (values[i].size() > 0) pool_.push_back(v);
  }
  return results;
}

void GraphDraw::add_axes(std::vector<ValueId>& inputs, std::vector<Attribute>& attributes, const std::vector<int64_t>& axes,
                         int since, std::string_view name) {
  if (opset_ < since) {
    attributes.push_back(attribute(std::string(name), axes));
  } else {
    inputs.push_back(integers(axes));
  }
}

Graph GraphDraw::finish(bool one) {
  const std::vector<NodeId> nodes(graph_.nodes().begin(), graph_.nodes().end());
  const auto unread = [&](ValueId v) { return graph_.users(v).empty() && !graph_.is_output(v); };
  for (size_t i = nodes.size(); i-- > 0;) {
    const std::vector<ValueId> outputs = graph_.node(nodes[i]).outputs;
    for (const ValueId v : outputs) {
      const bool wanted = one ? graph_.outputs.empty() && is_float(tensor(v).type()) : unread(v) || chance(0.04);
      if (wanted) graph_.outputs.push_back(v);
    }
    if (std::all_of(outputs.begin(), outputs.end(), unread)) graph_.erase_node(nodes[i]);
  }
  for (const ValueId v : std::vector<ValueId>(graph_.inputs)) {
    if (!unread(v)) continue;
    feeds_.erase(graph_.value(v).name);
    std::erase(graph_.inputs, v);
  }
  for (const ValueId v : graph_.outputs) {
    graph_.value(v).type = Type::tensor(tensor(v).type(), SymbolicDims(static_cast<size_t>(tensor(v).rank()), Dim()));
  }
  return graph_;
}

std::vector<Recipe> all_recipes() {
  std::vector<Recipe> result;
  for (auto* family : {elementwise_recipes, movement_recipes, layer_recipes, quantized_recipes, weighted_recipes}) {
    for (const Recipe& recipe : family()) result.push_back(recipe);
  }
  return result;
}

RandomGraph random_graph(uint64_t seed, int nodes, const std::set<std::string, std::less<>>& only) {
  static const std::vector<int> opsets = {13, 14, 16, 17, 18, 19, 20, 21, 22};
  const Random random(seed, RandomUse::test, 1);
  GraphDraw draw(seed, opsets[static_cast<size_t>(random.below(0, opsets.size()))]);
  const auto fits = [&](const Recipe& recipe) {
    return draw.opset() >= recipe.since && find_op("", recipe.op) && (only.empty() || only.contains(recipe.op));
  };
  std::vector<Recipe> recipes, weighted;
  std::ranges::copy_if(all_recipes(), std::back_inserter(recipes), fits);
  std::ranges::copy_if(weighted_recipes(), std::back_inserter(weighted), fits);
  if (recipes.empty()) throw Error(ErrorKind::usage, "no recipe for these ops in opset " + std::to_string(draw.opset()));
  const bool net = seed % 2 == 0;
  if (net) draw.prefer_unread(0.97);
  for (int drawn = 0, tries = 0; drawn < nodes && tries < 10 * nodes; ++tries) {
    try {
      draw.one_of(net && !weighted.empty() && draw.chance(0.5) ? weighted : recipes).draw(draw);
      ++drawn;
    } catch (const GraphDraw::Skip&) {
    }
  }
  RandomGraph result;
  result.graph = draw.finish(net);
  result.feeds = draw.feeds();
  return result;
}

}  // namespace espalier::testing
