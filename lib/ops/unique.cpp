// Unique: the distinct elements of a flattened tensor, or the distinct slices along an axis.

#include <algorithm>
#include <numeric>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  const auto sorted = c.node().get<int64_t>("sorted", 1);
  if (sorted != 0 && sorted != 1) c.fail("sorted is " + std::to_string(sorted) + ", expected 0 or 1");
  const bool flat = !c.node().has("axis");
  SymbolicDims dims = {Dim()};
  if (!flat && c.has_rank(0)) {
    dims = c.dims(0);
    dims[c.axis(c.node().require<int64_t>("axis"), c.rank(0))] = Dim();
  }
  if (c.has_output(0)) c.set(0, flat || c.has_rank(0) ? Type::tensor(c.elem_type(0), dims) : Type::tensor(c.elem_type(0)));
  for (size_t i = 1; i < c.output_count(); ++i) {
    if (c.has_output(i)) c.set(i, DataType::int64, {Dim()});
  }
}

/// The distinct ones of n slices; compare(a, b) is below, at or above 0.
struct Distinct {
  std::vector<int64_t> first, inverse, counts;

  template <class Compare>
  Distinct(int64_t n, bool sorted, Compare compare) : inverse(static_cast<size_t>(n)) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return compare(a, b) < 0; });
    for (int64_t i = 0; i < n; ++i) {
      if (i == 0 || compare(order[i - 1], order[i]) != 0) {
        first.push_back(order[i]);
        counts.push_back(0);
      }
      inverse[order[i]] = static_cast<int64_t>(first.size()) - 1;
      ++counts.back();
    }
    if (!sorted) by_appearance();
  }

 private:
  void by_appearance() {
    std::vector<size_t> order(first.size()), place(first.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return first[a] < first[b]; });
    const auto old_first = first, old_counts = counts;
    for (size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = i;
      first[i] = old_first[order[i]];
      counts[i] = old_counts[order[i]];
    }
    for (int64_t& i : inverse) i = static_cast<int64_t>(place[i]);
  }
};

template <class T>
int compared(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::string>) {
    return a.compare(b);
  } else {
    const auto x = static_cast<Calc<T>>(a), y = static_cast<Calc<T>>(b);
    if (x < y) return -1;
    if (x > y) return 1;
    return x == y ? 0 : static_cast<int>(x != x) - static_cast<int>(y != y);  // NaN is the largest
  }
}

/// Slices of `x` along axis 1 of its view [outer, n, inner].
template <class T>
Distinct distinct(std::span<const T> x, int64_t outer, int64_t n, int64_t inner, bool sorted) {
  return Distinct(n, sorted, [&](int64_t a, int64_t b) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        const int sign = compared(x[(o * n + a) * inner + i], x[(o * n + b) * inner + i]);
        if (sign != 0) return sign;
      }
    }
    return 0;
  });
}

void evaluate(EvaluateContext& c) {
  const bool flat = !c.node().has("axis"), sorted = c.node().get<int64_t>("sorted", 1) != 0;
  const Tensor x = flat ? c.input(0).reshaped({c.input(0).size()}) : c.input(0);
  const int64_t axis = flat ? 0 : normalize_axis(c.node().require<int64_t>("axis"), x.rank());
  const Dims& dims = x.dims();
  const int64_t outer = element_count(Dims(dims.begin(), dims.begin() + axis)), n = dims[axis];
  const int64_t inner = element_count(Dims(dims.begin() + axis + 1, dims.end()));
  const auto give = [&](const Distinct& d) {
    AxisIndices at = all_indices(dims);
    at[axis] = d.first;
    if (c.has_output(0)) c.set(0, take(x, at));
    const std::vector<int64_t>* const lists[] = {&d.first, &d.inverse, &d.counts};
    for (size_t i = 1; i < c.output_count(); ++i) {
      const auto& list = *lists[i - 1];
      if (c.has_output(i)) c.set(i, Tensor::of<int64_t>({static_cast<int64_t>(list.size())}, list));
    }
  };
  if (x.type() == DataType::string) return give(distinct<std::string>(x.strings(), outer, n, inner, sorted));
  dispatch_numeric(x.type(), [&]<class T>() { give(distinct<T>(x.data<T>(), outer, n, inner, sorted)); });
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op unique;
const Op unique = {.name = "Unique", .since = 11, .infer = infer, .evaluate = evaluate, .cost = cost};

}  // namespace espalier::ops
