#include "lib/kernels/conv.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "lib/kernels/reorder.h"

namespace espalier {
namespace {

std::vector<float> numbers(int64_t count, double step) {
  std::vector<float> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
  return x;
}

void move(const Layout& from, const Layout& to, const void* source, void* target) {
  if (from == to) return static_cast<void>(std::memcpy(target, source, to.bytes()));
  const Primitive step = reorder(from, to);
  std::vector<std::byte> scratch(step.scratch_bytes + 1);
  void* args[] = {const_cast<void*>(source), target, scratch.data()};
  step.kernel->bind({args, step.scratch_bytes > 0 ? size_t{3} : size_t{2}});
  step.kernel->run();
}

/// One channel to 16, height `rows`, without pads.
void check(int64_t rows, int64_t columns, int64_t kernel, int64_t stride) {
  const int64_t width = (columns - 1) * stride + kernel;
  ConvProblem p;
  p.src = {1, 1, rows, width}, p.weights = {16, 1, 1, kernel}, p.dst = {1, 16, rows, columns};
  p.strides = {1, stride}, p.dilations = {1, 1}, p.pads_begin = p.pads_end = {0, 0};
  p.group = 1;
  const auto plain = [](const Dims& dims) { return Layout::plain(DataType::float32, dims); };
  const Primitive step = conv_forward(p, plain(p.src));
  const auto x = numbers(rows * width, 0.7), w = numbers(16 * kernel, 1.3);
  std::vector<float> y(static_cast<size_t>(16 * rows * columns));
  std::vector<std::vector<std::byte>> held;
  std::vector<void*> args;
  for (const Layout& layout : step.args) args.push_back(held.emplace_back(layout.bytes()).data());
  std::vector<std::byte> scratch(step.scratch_bytes + 1);
  if (step.scratch_bytes > 0) args.push_back(scratch.data());
  move(plain(p.src), step.args[0], x.data(), args[0]);
  move(plain(p.weights), step.args[1], w.data(), args[1]);
  step.kernel->bind(args);
  step.kernel->run();
  move(step.args[2], plain(p.dst), args[2], y.data());
  for (int64_t i = 0; i < 16 * rows * columns; ++i) {
    const int64_t channel = i / (rows * columns), row = i / columns % rows, first = i % columns * stride;
    double sum = 0;
    for (int64_t k = 0; k < kernel; ++k) {
      sum += static_cast<double>(x[static_cast<size_t>(row * width + first + k)]) *
             static_cast<double>(w[static_cast<size_t>(channel * kernel + k)]);
    }
    ASSERT_NEAR(y[static_cast<size_t>(i)], sum, 1e-5)
        << fmt::format("{} rows, {} columns, kernel {}, stride {}, by {}", rows, columns, kernel, stride, step.implementation);
  }
}

// Strides of an axis that ends with one place were wrong with oneDNN 3.7.
TEST(ConvStep, OneChannelWithAndWithoutPlacesToStrideTo) {
  for (const int64_t rows : {1, 4, 5}) {
    for (const int64_t columns : {1, 2, 5}) {
      for (const int64_t kernel : {1, 2, 3}) {
        for (const int64_t stride : {1, 2}) check(rows, columns, kernel, stride);
      }
    }
  }
}

}  // namespace
}  // namespace espalier
