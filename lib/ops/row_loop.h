#pragma once

#include <memory>

#include "lib/ops/elementwise.h"
#include "lib/ops/lower.h"
#include "lib/ops/movement.h"

namespace espalier::ops {

// Elementwise steps on plain memory for types and formulas that no chain on float knows: comparisons, logic, casts, Where.

/// Arguments: x, y. y[i] = f(x[i]).
template <class Out, class In, class F>
class MapLoop : public Kernel {
 public:
  MapLoop(int64_t n, F f) : n_(n), f_(f) {}
  void bind(std::span<void* const> args) override {
    x_ = static_cast<const In*>(args[0]);
    y_ = static_cast<Out*>(args[1]);
  }
  void run() override {
    parallel_for(n_, kElementGrain, [this](int64_t begin, int64_t end) {
      const In* x = x_;
      Out* y = y_;
      for (int64_t i = begin; i < end; ++i) y[i] = f_(x[i]);
    });
  }

 private:
  int64_t n_;
  F f_;
  const In* x_ = nullptr;
  Out* y_ = nullptr;
};

/// Arguments: a, b, y. y = f(a, b), broadcast.
template <class Out, class In, class F>
class ZipLoop : public Kernel {
 public:
  ZipLoop(const Dims& to, const Dims& a, const Dims& b, F f) : walk_(to, {a, b}), f_(f) {}
  void bind(std::span<void* const> args) override {
    a_ = static_cast<const In*>(args[0]);
    b_ = static_cast<const In*>(args[1]);
    y_ = static_cast<Out*>(args[2]);
  }
  void run() override {
    walk_.run([this](int64_t to, const auto& at, const auto& step, int64_t n) {
      const In *a = a_ + at[0], *b = b_ + at[1];
      Out* y = y_ + to;
      if (step[0] == 1 && step[1] == 1) {
        for (int64_t i = 0; i < n; ++i) y[i] = f_(a[i], b[i]);
      } else if (step[0] == 1 && step[1] == 0) {
        for (int64_t i = 0; i < n; ++i) y[i] = f_(a[i], *b);
      } else if (step[0] == 0 && step[1] == 1) {
        for (int64_t i = 0; i < n; ++i) y[i] = f_(*a, b[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) y[i] = f_(a[i * step[0]], b[i * step[1]]);
      }
    });
  }

 private:
  BroadcastWalk<2> walk_;
  F f_;
  const In *a_ = nullptr, *b_ = nullptr;
  Out* y_ = nullptr;
};

/// Output 0 = f(input 0) where input 0 holds In and output 0 Out; false otherwise.
template <class Out, class In, class F>
bool lower_map(LowerContext& c, F f) {
  if (c.type(0) != data_type_of<In> || c.facts().output(0).type.elem_type != data_type_of<Out> || !is_movable(c, 0)) return false;
  const Operand x = read_plain(c, 0);
  c.step(std::make_unique<MapLoop<Out, In, F>>(element_count(c.dims(0)), f), {x, write_plain(c)}, "loop");
  return true;
}

/// Output 0 = f(input 0, input 1) where both hold In; false otherwise, and for broadcasting as before opset 7.
template <class Out, class In, class F>
bool lower_zip(LowerContext& c, F f) {
  if (c.type(0) != data_type_of<In> || c.type(1) != data_type_of<In> || !is_movable(c, 0)) return false;
  if (c.node().version < 7 && c.dims(0) != c.dims(1)) return false;
  auto kernel = std::make_unique<ZipLoop<Out, In, F>>(c.output_dims(0), c.dims(0), c.dims(1), f);
  const Operand a = read_plain(c, 0), b = read_plain(c, 1);
  c.step(std::move(kernel), {a, b, write_plain(c)}, "loop");
  return true;
}

/// The same for the types that models count and index with: f of two int64 or two int32.
template <class F>
bool lower_zip_integers(LowerContext& c, F f) {
  return lower_zip<int64_t, int64_t>(c, f) || lower_zip<int32_t, int32_t>(c, f);
}

}  // namespace espalier::ops
