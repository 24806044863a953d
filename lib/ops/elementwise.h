#pragma once

#include <algorithm>
#include <array>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/tensor/dispatch.h"

namespace espalier {

// What elementwise operators share: one input to one output, or several that broadcast.

bool is_numeric(DataType type);  ///< floats and integers of 8 bits and wider
bool is_boolean(DataType type);

/// fail() unless the element type of input i is unknown or `allowed`, which `expected` says in words.
void require_type(const InferContext& c, size_t i, bool (*allowed)(DataType), const char* expected);
/// fail() unless inputs i and j agree in element type, or one is unknown.
void require_same_type(const InferContext& c, size_t i, size_t j);

/// One float input, output of the same type.
void infer_unary_float(InferContext& c);
/// One numeric input, output of the same type.
void infer_unary_numeric(InferContext& c);
/// Type of a two-input op: the shapes broadcast both ways from `both_ways_since` on; before that input 1 is broadcast
/// to input 0 by the attributes `broadcast` and `axis`.
Type broadcast_type(const InferContext& c, DataType elem_type, int both_ways_since = 7);
/// The `element` facet of an op that has no parameters.
template <ElementKind kKind>
std::optional<ElementOp> element_is(const InferContext&) {
  return ElementOp{kKind};
}

/// One FLOP per output element.
Cost cost_elementwise(const InferContext& c);

/// Input 1 as numpy's rules would have it: the form with `axis` gets the trailing axes it lacks.
Tensor aligned_operand(const EvaluateContext& c, int both_ways_since = 7);

/// Elements per piece of an elementwise loop.
inline constexpr int64_t kElementGrain = 16384;

/// A number calculated in float or double, as an element of type T.
template <class T, class V>
T store(V value) {
  if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) return T(static_cast<float>(value));
  else return static_cast<T>(value);
}

/// dispatch_numeric without bool, which no arithmetic op takes.
template <class Body>
void dispatch_number(DataType type, Body&& body) {
  dispatch_numeric(type, [&]<class T>() {
    if constexpr (!std::is_same_v<T, bool>) body.template operator()<T>();
  });
}

/// y[i] = f(x[i]), x read as its Calc type.
template <class Out, class In, class F>
Tensor map(const Tensor& x, F f) {
  Tensor y(data_type_of<Out>, x.dims());
  const auto in = x.data<In>();
  const auto out = y.mutable_data<Out>();
  parallel_for(y.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = store<Out>(f(static_cast<Calc<In>>(in[i])));
  });
  return y;
}

/// Output 0 = f(input 0) for each of the four floats.
template <class F>
void map_float(EvaluateContext& c, F f) {
  const Tensor& x = c.input(0);
  dispatch_float(x.type(), [&]<class T>() { c.set(0, map<T, T>(x, f)); });
}

/// A walk over all positions of a broadcast shape, with the offset of each operand's element. Axes along which every
/// operand runs on are merged.
template <size_t N>
class BroadcastWalk {
 public:
  BroadcastWalk(const Dims& to, const std::array<Dims, N>& operands);

  /// Calls body(out, at, step, n) for runs of n outputs from offset `out` on; operand i is read at at[i], at[i]+step[i] ...
  template <class Body>
  void run(Body&& body) const;

 private:
  Dims dims_;
  std::array<Dims, N> strides_;
};

/// Strides, in elements, of a tensor of shape `from` read as shape `to`: 0 along the axes where it repeats.
Dims broadcast_strides(const Dims& from, const Dims& to);

template <size_t N>
BroadcastWalk<N>::BroadcastWalk(const Dims& to, const std::array<Dims, N>& operands) {
  std::array<Dims, N> strides;
  for (size_t i = 0; i < N; ++i) strides[i] = broadcast_strides(operands[i], to);
  for (size_t axis = 0; axis < to.size(); ++axis) {
    if (to[axis] == 1) continue;
    bool joins = !dims_.empty();
    for (size_t i = 0; joins && i < N; ++i) joins = strides_[i].back() == strides[i][axis] * to[axis];
    if (joins) dims_.back() *= to[axis];
    else dims_.push_back(to[axis]);
    for (size_t i = 0; i < N; ++i) {
      if (!joins) strides_[i].push_back(0);
      strides_[i].back() = strides[i][axis];
    }
  }
  if (!dims_.empty()) return;
  dims_ = {1};
  for (auto& s : strides_) s = {0};
}

template <size_t N>
template <class Body>
void BroadcastWalk<N>::run(Body&& body) const {
  const int64_t row = dims_.back();
  std::array<int64_t, N> step;
  for (size_t i = 0; i < N; ++i) step[i] = strides_[i].back();
  parallel_for(element_count(dims_), kElementGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t column = begin % row, n = std::min(row - column, end - begin);
      std::array<int64_t, N> at;
      for (size_t i = 0; i < N; ++i) at[i] = column * step[i];
      int64_t rest = begin / row;
      for (size_t axis = dims_.size() - 1; axis-- > 0; rest /= dims_[axis]) {
        for (size_t i = 0; i < N; ++i) at[i] += rest % dims_[axis] * strides_[i][axis];
      }
      body(begin, at, step, n);
      begin += n;
    }
  });
}

/// f(a, b) at each position of the broadcast shape, operands read as their Calc type.
template <class Out, class In, class F>
Tensor zip(const Tensor& a, const Tensor& b, F f) {
  Tensor y(data_type_of<Out>, broadcast(a.dims(), b.dims()));
  const auto x0 = a.data<In>(), x1 = b.data<In>();
  const auto out = y.mutable_data<Out>();
  BroadcastWalk<2>(y.dims(), {a.dims(), b.dims()}).run([&](int64_t to, const auto& at, const auto& step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      out[to + i] = store<Out>(f(static_cast<Calc<In>>(x0[at[0] + i * step[0]]), static_cast<Calc<In>>(x1[at[1] + i * step[1]])));
    }
  });
  return y;
}

}  // namespace espalier
