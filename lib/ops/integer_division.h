#pragma once

#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/row_loop.h"

namespace espalier::ops {

/// A ZipLoop of integers whose second operand must not be 0: run() throws Error(bad_data) naming `where`.
template <class T, class F>
class DivisionLoop : public Kernel {
 public:
  DivisionLoop(const Dims& to, const Dims& a, const Dims& b, F f, std::string where)
      : loop_(to, a, b, f), divisors_(element_count(to) == 0 ? 0 : element_count(b)), where_(std::move(where)) {}
  void bind(std::span<void* const> args) override {
    loop_.bind(args);
    b_ = static_cast<const T*>(args[1]);
  }
  void run() override {
    if (std::find(b_, b_ + divisors_, T(0)) != b_ + divisors_) throw Error(ErrorKind::bad_data, where_ + ": integer division by zero");
    loop_.run();
  }

 private:
  ZipLoop<T, T, F> loop_;
  int64_t divisors_;
  std::string where_;
  const T* b_ = nullptr;
};

template <class T, class F>
bool lower_division_of(LowerContext& c, F f) {
  if (c.type(0) != data_type_of<T> || c.type(1) != data_type_of<T> || !is_movable(c, 0)) return false;
  if (c.node().version < 7 && c.dims(0) != c.dims(1)) return false;
  auto kernel = std::make_unique<DivisionLoop<T, F>>(c.output_dims(0), c.dims(0), c.dims(1), f, c.node().where());
  const Operand a = read_plain(c, 0), b = read_plain(c, 1);
  c.step(std::move(kernel), {a, b, write_plain(c)}, "loop");
  return true;
}

/// Output 0 = f(input 0, input 1) of two int64 or two int32; false otherwise. See DivisionLoop.
template <class F>
bool lower_division(LowerContext& c, F f) {
  return lower_division_of<int64_t>(c, f) || lower_division_of<int32_t>(c, f);
}

}  // namespace espalier::ops
