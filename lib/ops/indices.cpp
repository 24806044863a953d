#include "lib/ops/indices.h"

#include <algorithm>

#include "lib/ops/elementwise.h"
#include "lib/ops/integer.h"
#include "lib/ops/take.h"

namespace espalier::ops {
namespace {

/// Calls visit(position in `dims`) for all of them in row-major order.
template <class Visit>
void walk(const Dims& dims, Visit&& visit) {
  Dims at(dims.size(), 0);
  for (int64_t i = 0, n = element_count(dims); i < n; ++i) {
    visit(at);
    for (size_t a = at.size(); a-- > 0;) {
      if (++at[a] < dims[a]) break;
      at[a] = 0;
    }
  }
}

template <class T>
T reduced(Reduction reduction, T a, T b) {
  using C = Calc<T>;
  const C x = static_cast<C>(a), y = static_cast<C>(b);
  if constexpr (std::is_same_v<T, bool>) {
    return reduction == Reduction::add || reduction == Reduction::max ? x || y : x && y;
  } else {
    switch (reduction) {
      case Reduction::add: return store<T>(wrap_add(x, y));
      case Reduction::mul: return store<T>(wrap_mul(x, y));
      case Reduction::max: return store<T>(y > x || y != y ? y : x);
      case Reduction::min: return store<T>(y < x || y != y ? y : x);
      default: return b;
    }
  }
}

}  // namespace

Reduction reduction_of(const Node& node) {
  const auto name = node.get<std::string>("reduction", "none");
  if (name == "none") return Reduction::none;
  if (name == "add" && node.version >= 16) return Reduction::add;
  if (name == "mul" && node.version >= 16) return Reduction::mul;
  if (name == "max" && node.version >= 18) return Reduction::max;
  if (name == "min" && node.version >= 18) return Reduction::min;
  throw Error(ErrorKind::bad_data, node.where() + ": reduction is '" + name + "', expected none" +
                                       (node.version >= 18 ? ", add, mul, max or min" : node.version >= 16 ? ", add or mul" : ""));
}

void require_index_type(const InferContext& c, size_t i, bool also_int32) {
  const DataType type = c.elem_type(i);
  if (!c.type(i).is_tensor() || type == DataType::undefined || type == DataType::int64) return;
  if (type == DataType::int32 && also_int32) return;
  c.fail("indices are " + c.type(i).str() + ", expected " + (also_int32 ? "int32 or int64" : "int64"));
}

int64_t wrapped_index(const EvaluateContext& c, int64_t index, int64_t size) {
  if (index < -size || index >= size) {
    c.fail("index " + std::to_string(index) + " is out of range for an axis of size " + std::to_string(size));
  }
  return index < 0 ? index + size : index;
}

std::vector<int64_t> element_positions(const EvaluateContext& c, const Dims& data, const Tensor& indices, int64_t axis) {
  const auto at_axis = indices.to_int64s();
  const Dims strides = row_major_strides(data);
  std::vector<int64_t> positions;
  positions.reserve(at_axis.size());
  walk(indices.dims(), [&](const Dims& at) {
    int64_t position = 0;
    for (size_t a = 0; a < at.size(); ++a) {
      const bool chosen = static_cast<int64_t>(a) == axis;
      position += strides[a] * wrapped_index(c, chosen ? at_axis[positions.size()] : at[a], data[a]);
    }
    positions.push_back(position);
  });
  return positions;
}

Runs tuple_runs(const EvaluateContext& c, const Dims& data, const Tensor& indices, int64_t batch_dims) {
  const Dims& dims = indices.dims();
  const auto batch = static_cast<size_t>(batch_dims), width = static_cast<size_t>(dims.back());
  const Dims strides = row_major_strides(data);
  const auto values = indices.to_int64s();
  Runs result;
  result.run = element_count(Dims(data.begin() + static_cast<std::ptrdiff_t>(batch + width), data.end()));
  size_t from = 0;
  walk(Dims(dims.begin(), dims.end() - 1), [&](const Dims& at) {
    int64_t position = 0;
    for (size_t a = 0; a < batch; ++a) position += strides[a] * at[a];
    for (size_t k = 0; k < width; ++k) position += strides[batch + k] * wrapped_index(c, values[from++], data[batch + k]);
    result.positions.push_back(position);
  });
  return result;
}

std::vector<int64_t> positions_of(const Runs& runs) {
  std::vector<int64_t> result;
  result.reserve(runs.positions.size() * static_cast<size_t>(runs.run));
  for (const int64_t start : runs.positions) {
    for (int64_t i = 0; i < runs.run; ++i) result.push_back(start + i);
  }
  return result;
}

Tensor scattered(const Tensor& data, const std::vector<int64_t>& positions, const Tensor& updates, Reduction reduction) {
  Tensor out = data;
  if (reduction == Reduction::none) {
    for (size_t i = 0; i < positions.size(); ++i) copy_elements(updates, static_cast<int64_t>(i), out, positions[i], 1);
    return out;
  }
  dispatch_numeric(data.type(), [&]<class T>() {
    const auto from = updates.data<T>();
    const auto to = out.mutable_data<T>();
    for (size_t i = 0; i < positions.size(); ++i) to[positions[i]] = reduced<T>(reduction, to[positions[i]], from[i]);
  });
  return out;
}

Tensor gathered(const Tensor& data, const std::vector<int64_t>& positions, Dims dims) {
  Tensor out(data.type(), std::move(dims));
  for (size_t i = 0; i < positions.size(); ++i) copy_elements(data, positions[i], out, static_cast<int64_t>(i), 1);
  return out;
}

}  // namespace espalier::ops
