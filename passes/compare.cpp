#include "passes/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/analysis/cost.h"
#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double d = std::abs(a - b);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

void compare_numbers(OutputDifference& result, const std::vector<double>& a, const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i])) result.scale = std::max(result.scale, std::abs(a[i]));
    const double d = distance(a[i], b[i]);
    if (d <= result.max_abs) continue;
    result.max_abs = d;
    result.at = static_cast<int64_t>(i);
    result.a = a[i];
    result.b = b[i];
  }
}

std::string position(int64_t at, const Dims& dims) {
  Dims index(dims.size());
  for (size_t axis = dims.size(); axis-- > 0;) {
    index[axis] = dims[axis] > 0 ? at % dims[axis] : 0;
    at = dims[axis] > 0 ? at / dims[axis] : 0;
  }
  return to_string(index);
}

}  // namespace

double tolerance(DataType type) {
  switch (type) {
    case DataType::float32: return 1e-4;
    case DataType::float64: return 1e-9;
    case DataType::float16: return 2e-3;
    case DataType::bfloat16: return 2e-2;
    default: return 0;
  }
}

OutputDifference difference(const std::string& name, const Tensor& a, const Tensor& b) {
  OutputDifference result;
  result.name = name;
  result.type = a.type();
  result.dims = a.dims();
  if (a.type() != b.type() || a.dims() != b.dims()) {
    result.comparable = result.same_bits = false;
    result.max_abs = std::numeric_limits<double>::infinity();
    result.detail = Type::tensor(a.type(), a.dims()).str() + " against " + Type::tensor(b.type(), b.dims()).str();
    return result;
  }
  result.same_bits = a == b;
  if (result.same_bits && !is_float(a.type())) return result;
  if (a.type() == DataType::string) {
    result.max_abs = 1;
    return result;
  }
  compare_numbers(result, a.to_doubles(), b.to_doubles());
  return result;
}

std::string describe(const OutputDifference& d, double expected) {
  if (!d.comparable) return "output '" + d.name + "': " + d.detail;
  return fmt::format("output '{}': {:.6g} against {:.6g} at {}, error {:.3g} of the scale, expected at most {:.3g}", d.name,
                     d.a, d.b, position(d.at, d.dims), d.relative(), expected);
}

namespace {

Feeds run_plan(const Graph& graph, const Feeds& feeds) {
  CompileOptions options;
  for (const auto& [input, tensor] : feeds) options.input_shapes[input] = tensor.dims();
  ParameterStore store;
  Plan plan(graph, store, options);
  for (const auto& [input, tensor] : feeds) plan.feed(input, tensor);
  plan.run();
  Feeds result;
  for (const ValueId v : graph.outputs) result[graph.value(v).name] = plan.output_tensor(graph.value(v).name);
  return result;
}

}  // namespace

bool large(const Graph& graph, const Feeds& feeds) {
  constexpr int64_t kReferenceMacs = 50'000'000;  // a fraction of a second of plain loops
  InferOptions options;
  for (const auto& [input, tensor] : feeds) options.input_dims[input] = tensor.dims();
  return graph_cost(graph, infer(graph, options)).macs > kReferenceMacs;
}

Feeds run_graph(const Graph& graph, const Feeds& feeds) {
  if (large(graph, feeds)) {
    try {
      return run_plan(graph, feeds);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_data) throw;  // what no plan can hold, the reference may
    }
  }
  return run_reference(graph, feeds);
}

}  // namespace espalier
