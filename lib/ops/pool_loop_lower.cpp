#include <algorithm>
#include <limits>

#include "lib/ops/conv_problem.h"
#include "lib/ops/pool.h"

namespace espalier {
namespace {

using Kind = PoolLoopProblem::Kind;

constexpr int64_t kMostRuns = int64_t{1} << 20;

/// The pool of a tensor x without its memory's form; nothing where it has too many runs.
std::optional<PoolLoopProblem> windows(const Node& node, Kind kind, const Dims& x) {
  PoolLoopProblem p;
  p.kind = kind;
  p.power = static_cast<float>(kind == Kind::power ? lp_power(node) : 2);
  if (!node.has("kernel_shape")) {  // over all of space
    p.in = element_count({x.begin() + 2, x.end()});
    p.out = 1;
    if (p.in > kMostRuns) return std::nullopt;
    for (int64_t i = 0; i < p.in; ++i) p.runs.push_back({0, i, 1, 1});
    p.share.assign(1, 1 / static_cast<float>(p.in));
    return p;
  }
  const Window window = read_window(node, x.size() - 2);
  Dims rows(x.begin() + 2, x.end() - 1);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = output_size(window, i, x[i + 2]).value();
  if (element_count(window.kernel) > kMostRuns || element_count(rows) > kMostRuns / element_count(window.kernel)) return std::nullopt;
  const Pool pool(node, x);
  p.in = pool.in_size;
  p.out = pool.out_size;
  for (const TapRuns& tap : pool.taps) {
    for (const TapRuns::Run& run : tap.runs) p.runs.push_back({run.out, run.in, run.length, tap.step});
  }
  if (kind == Kind::average) {
    for (const double divisor : average_divisors(pool, node.get<int64_t>("count_include_pad", 0) != 0)) {
      p.share.push_back(static_cast<float>(1 / divisor));
    }
  }
  return p;
}

/// Whether some position has nothing under its window: of padding channels too, which must stay zero.
bool has_empty_window(const PoolLoopProblem& p) {
  std::vector<bool> filled(static_cast<size_t>(p.out), false);
  for (const PoolRun& run : p.runs) std::fill_n(filled.begin() + run.out, run.length, true);
  return std::find(filled.begin(), filled.end(), false) != filled.end();
}

/// Memory of x and y.
struct Layouts {
  Layout x, y;
};

/// As x lies where it lies in rows of channels; plain otherwise.
Layouts lay_out(PoolLoopProblem& p, const Layout& own, const Dims& x, const Dims& y, DataType type, bool plain) {
  const auto channels = own.channels();
  const auto like = channels && !plain && !has_empty_window(p) ? own.like(y) : std::nullopt;
  if (like) {
    p.rows = channels->batch * channels->blocks;
    p.block = channels->block;
    return {own, *like};
  }
  p.rows = x[0] * x[1];
  p.block = 1;
  return {Layout::plain(type, x), Layout::plain(type, y)};
}

bool is_usable(const Dims& x, const Dims& y) {
  return x.size() >= 2 && element_count(x) > 0 && element_count(y) > 0 &&
         element_count({x.begin() + 2, x.end()}) < std::numeric_limits<int32_t>::max();
}

/// The number of each position where the first spatial axis runs fastest.
std::vector<int64_t> column_major(const Dims& x) {
  const Dims sizes(x.begin() + 2, x.end());
  std::vector<int64_t> numbers(static_cast<size_t>(element_count(sizes)));
  for (size_t i = 0; i < numbers.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), stride = 1;
    for (const int64_t size : sizes) stride *= size;
    for (size_t axis = sizes.size(); axis-- > 0; rest /= sizes[axis]) {
      stride /= sizes[axis];
      numbers[i] += rest % sizes[axis] * stride;
    }
  }
  return numbers;
}

}  // namespace

bool lower_pool_loop(LowerContext& c, Kind kind) {
  const DataType type = c.type(0);
  const Dims x = c.dims(0), y = c.output_dims(0);
  const bool indices = c.has_output(1), narrow = type == DataType::int8 || type == DataType::uint8;
  if (type != DataType::float32 && !(narrow && kind == Kind::max && !indices)) return false;
  if (!is_usable(x, y) || !c.has_output(0)) return false;
  auto problem = windows(c.node(), kind, x);
  if (!problem) return false;
  const Layouts layouts = lay_out(*problem, own_layout(c, 0), x, y, type, indices || narrow);
  const Operand from = c.read(0, layouts.x), to = c.write(0, layouts.y);
  if (!indices) {
    c.step(pool_loop(std::move(*problem), type), {from, to}, "loop");
    return true;
  }
  const auto numbers = c.node().get<int64_t>("storage_order", 0) != 0 ? column_major(x) : std::vector<int64_t>();
  const Operand where = c.write(1, Layout::plain(DataType::int64, y)), scratch = c.scratch(static_cast<size_t>(problem->results()) * sizeof(int32_t));
  c.step(pool_loop_with_indices(std::move(*problem), numbers), {from, to, where, scratch}, "loop");
  return true;
}

bool lower_pool_loop_grad(LowerContext& c, Kind kind, size_t x, size_t y, size_t dy) {
  const Dims large = c.dims(x), small = c.dims(dy);
  if (c.type(dy) != DataType::float32 || !is_usable(large, small)) return false;
  auto problem = windows(c.node(), kind, large);
  if (!problem) return false;
  const Layouts layouts = lay_out(*problem, own_layout(c, x), large, small, DataType::float32, false);
  std::vector<Operand> args;
  if (kind != Kind::average) args.push_back(c.read(x, layouts.x));
  if (kind == Kind::power) args.push_back(c.read(y, layouts.y));
  args.push_back(c.read(dy, layouts.y));
  args.push_back(c.write(0, layouts.x));
  if (kind == Kind::max) args.push_back(c.scratch(static_cast<size_t>(problem->results()) * (sizeof(float) + sizeof(int32_t))));
  c.step(pool_loop_backward(std::move(*problem)), args, "loop");
  return true;
}

}  // namespace espalier
