#include "lib/runtime/program.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "lib/base/error.h"

namespace espalier {
namespace {

constexpr size_t kAlignment = 64;
size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

int Program::add_buffer(size_t bytes, bool lasts) {
  buffers_.push_back({std::max<size_t>(bytes, 1), nullptr, lasts, -1, -1, 0});
  return static_cast<int>(buffers_.size()) - 1;
}

int Program::add_fixed(void* address, size_t bytes) {
  buffers_.push_back({bytes, static_cast<std::byte*>(address), true, -1, -1, 0});
  return static_cast<int>(buffers_.size()) - 1;
}

int Program::add_owned(size_t bytes) {
  owned_.emplace_back(std::max<size_t>(bytes, 1));
  return add_fixed(owned_.back().data(), bytes);
}

void Program::add_step(std::unique_ptr<Kernel> kernel, std::vector<int> args, StepLabel label, bool serial) {
  const int index = static_cast<int>(steps_.size());
  for (const int b : args) {
    check(b >= 0 && static_cast<size_t>(b) < buffers_.size(), "a step's argument is a buffer");
    if (buffers_[b].first < 0) buffers_[b].first = index;
    buffers_[b].last = index;
  }
  steps_.push_back({std::move(kernel), std::move(args), std::move(label), serial});
}

/// Greedy by size: the largest first, each at the lowest offset where it overlaps none of those that live with it.
size_t Program::lay_out() {
  std::vector<int> order;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& b = buffers_[i];
    if (b.address || b.first < 0) continue;
    if (b.lasts) b.last = static_cast<int>(steps_.size());
    order.push_back(static_cast<int>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return buffers_[a].bytes > buffers_[b].bytes; });
  std::vector<int> placed;  // by offset
  size_t total = 0;
  for (const int i : order) {
    Buffer& b = buffers_[i];
    size_t offset = 0;
    for (const int j : placed) {
      const Buffer& other = buffers_[j];
      if (other.last < b.first || other.first > b.last) continue;
      if (other.offset >= offset + aligned(b.bytes)) break;
      offset = std::max(offset, other.offset + aligned(other.bytes));
    }
    b.offset = offset;
    total = std::max(total, offset + aligned(b.bytes));
    const auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                     [&](size_t value, int j) { return value < buffers_[j].offset; });
    placed.insert(at, i);
  }
  return total;
}

void Program::finish() {
  arena_ = AlignedBuffer(std::max<size_t>(lay_out(), 1));
  for (Buffer& b : buffers_) {
    if (!b.address) b.address = arena_.data() + b.offset;
  }
  std::vector<void*> addresses;
  for (Step& step : steps_) {
    addresses.clear();
    for (const int b : step.args) addresses.push_back(buffers_[b].address);
    const SerialScope scope(step.serial);
    step.kernel->bind(addresses);
  }
}

void Program::run_timed(std::vector<int64_t>& spent) {
  using Clock = std::chrono::steady_clock;
  spent.resize(steps_.size(), 0);
  auto before = Clock::now();
  for (size_t i = 0; i < steps_.size(); ++i) {
    {
      const SerialScope scope(steps_[i].serial);
      steps_[i].kernel->run();
    }
    const auto after = Clock::now();
    spent[i] += std::chrono::duration_cast<std::chrono::nanoseconds>(after - before).count();
    before = after;
  }
}

}  // namespace espalier
