#include "lib/ops/pool.h"

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"

namespace espalier {

void infer_pool(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 3, kMaxRank);
  if (!c.has_rank(0)) {
    const auto kernel = c.node().require<Dims>("kernel_shape");
    c.set(0, c.elem_type(0), SymbolicDims(kernel.size() + 2));
  } else {
    SymbolicDims dims = c.dims(0);
    const Window window = read_window(c.node(), dims.size() - 2);
    for (size_t i = 0; i + 2 < dims.size(); ++i) {
      Dim& size = dims[i + 2] = output_size(window, i, c.dims(0)[i + 2]);
      if (size.known() && size.value() < 1) {
        c.fail("input " + to_string(c.dims(0)) + " is smaller than the window " + to_string(window.kernel));
      }
    }
    c.set(0, c.elem_type(0), std::move(dims));
  }
  if (c.has_output(1)) c.set(1, DataType::int64, *c.output(0).type.dims);
}

void infer_global_pool(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  c.require_rank(0, 2, kMaxRank);
  if (!c.has_rank(0)) return c.set(0, c.type(0));
  SymbolicDims dims(c.dims(0).size(), Dim(1));
  dims[0] = c.dims(0)[0];
  dims[1] = c.dims(0)[1];
  c.set(0, c.elem_type(0), std::move(dims));
}

Cost cost_pool(const InferContext& c) {
  const int64_t taps = element_count(c.node().require<Dims>("kernel_shape"));
  return {.flops = checked_mul(known_elements(c.output(0).type), taps), .bytes = known_traffic(c)};
}

Cost cost_global_pool(const InferContext& c) { return {.flops = known_elements(c.type(0)), .bytes = known_traffic(c)}; }

Pool::Pool(const Node& node, const Dims& x) : in(x.begin() + 2, x.end()), dims(x) {
  window = resolve(read_window(node, in.size()), in);
  for (size_t i = 0; i < in.size(); ++i) dims[i + 2] = output_size(window, i, in[i]).value();
  out.assign(dims.begin() + 2, dims.end());
  planes = dims[0] * dims[1];
  in_size = element_count(in);
  out_size = element_count(out);
  taps = tap_runs(window, in, out);
}

double lp_power(const Node& node) {
  const Attribute* p = node.find("p");
  if (p && std::holds_alternative<float>(p->value)) return static_cast<double>(std::get<float>(p->value));
  return static_cast<double>(node.get<int64_t>("p", 2));
}

std::vector<double> average_divisors(const Pool& pool, bool count_include_pad) {
  std::vector<double> counts(static_cast<size_t>(pool.out_size), count_include_pad ? 1.0 : 0.0);
  if (!count_include_pad) {
    for (const TapRuns& tap : pool.taps) {
      for (const TapRuns::Run& run : tap.runs) {
        for (int64_t i = 0; i < run.length; ++i) counts[run.out + i] += 1;
      }
    }
    return counts;
  }
  const Window& w = pool.window;
  const Dims strides = row_major_strides(pool.out);
  for (int64_t position = 0; position < pool.out_size; ++position) {
    for (size_t axis = 0; axis < pool.out.size(); ++axis) {
      const int64_t first = position / strides[axis] % pool.out[axis] * w.strides[axis];
      const int64_t limit = w.pads_begin[axis] + pool.in[axis] + w.pads_end[axis];
      const int64_t fitting = (limit - first + w.dilations[axis] - 1) / w.dilations[axis];
      counts[position] *= static_cast<double>(std::min(w.kernel[axis], fitting));
    }
  }
  return counts;
}

}  // namespace espalier
