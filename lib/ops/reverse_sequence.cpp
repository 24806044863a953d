#include <cstring>

#include "lib/base/error.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/movement.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

int64_t time_axis(const Node& node) { return node.get<int64_t>("time_axis", 0); }
int64_t batch_axis(const Node& node) { return node.get<int64_t>("batch_axis", 1); }

/// x [T, B, ...] or [B, T, ...], sequence_lens [B] -> x with the first sequence_lens[b] steps of row b reversed.
void infer(InferContext& c) {
  c.require_inputs(2, 2);
  c.require_rank(0, 2, kMaxRank);
  c.require_rank(1, 1, 1);
  require_type(c, 1, [](DataType type) { return type == DataType::int64; }, "int64");
  const int64_t time = time_axis(c.node()), batch = batch_axis(c.node());
  if (time < 0 || time > 1 || batch < 0 || batch > 1 || time == batch) {
    c.fail("time_axis is " + std::to_string(time) + " and batch_axis " + std::to_string(batch) + ", expected 0 and 1 or 1 and 0");
  }
  if (c.has_rank(0) && c.has_rank(1)) {
    const Dim &rows = c.dims(0)[static_cast<size_t>(batch)], &lengths = c.dims(1)[0];
    if (rows.known() && lengths.known() && !(rows == lengths)) {
      c.fail("sequence_lens has " + lengths.str() + " elements, expected " + rows.str());
    }
  }
  c.set(0, c.type(0));
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto lengths = c.input(1).to_int64s();
  const bool time_first = time_axis(c.node()) == 0;
  const int64_t steps = x.dims()[time_first ? 0 : 1], batch = x.dims()[time_first ? 1 : 0];
  int64_t block = 1;
  for (size_t i = 2; i < x.dims().size(); ++i) block *= x.dims()[i];
  const auto at = [&](int64_t t, int64_t b) { return (time_first ? t * batch + b : b * steps + t) * block; };
  Tensor y(x.type(), x.dims());
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    if (length < 0 || length > steps) {
      c.fail("sequence_lens has " + std::to_string(length) + ", expected 0 to " + std::to_string(steps));
    }
    for (int64_t t = 0; t < steps; ++t) copy_elements(x, at(t < length ? length - 1 - t : t, b), y, at(t, b), block);
  }
  c.set(0, std::move(y));
}

/// Reversing is its own inverse, and so its own transpose.
void gradient(GradientContext& c) {
  c.set_grad(0, c.add("ReverseSequence", {c.grad_output(), c.input(1)},
                      {{"time_axis", time_axis(c.node()), {}}, {"batch_axis", batch_axis(c.node()), {}}}));
}

/// Copies of whole steps. Arguments: x, lengths, y.
class ReverseLoop : public Kernel {
 public:
  ReverseLoop(int64_t steps, int64_t batch, size_t bytes, bool time_first, std::string where)
      : steps_(steps), batch_(batch), bytes_(bytes), time_first_(time_first), where_(std::move(where)) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const std::byte*>(args[0]);
    lengths_ = static_cast<const int64_t*>(args[1]);
    y_ = static_cast<std::byte*>(args[2]);
  }

  void run() override {
    parallel_for(batch_, 1, [this](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t length = lengths_[b];
        if (length < 0 || length > steps_) {
          throw Error(ErrorKind::bad_data, where_ + ": sequence_lens has " + std::to_string(length) + ", expected 0 to " + std::to_string(steps_));
        }
        for (int64_t t = 0; t < steps_; ++t) std::memcpy(y_ + at(t, b), x_ + at(t < length ? length - 1 - t : t, b), bytes_);
      }
    });
  }

 private:
  size_t at(int64_t t, int64_t b) const { return static_cast<size_t>(time_first_ ? t * batch_ + b : b * steps_ + t) * bytes_; }

  int64_t steps_, batch_;
  size_t bytes_;
  bool time_first_;
  std::string where_;
  const std::byte* x_ = nullptr;
  const int64_t* lengths_ = nullptr;
  std::byte* y_ = nullptr;
};

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (!is_movable(c, 0) || c.type(1) != DataType::int64) return false;
  const bool time_first = time_axis(c.node()) == 0;
  const size_t bytes = static_cast<size_t>(element_count({dims.begin() + 2, dims.end()})) * *movable_width(c.type(0));
  const Operand x = read_plain(c, 0), lengths = read_plain(c, 1);
  c.step(std::make_unique<ReverseLoop>(dims[time_first ? 0 : 1], dims[time_first ? 1 : 0], bytes, time_first, c.node().where()),
         {x, lengths, write_plain(c)}, "loop");
  return true;
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op reverse_sequence;
const Op reverse_sequence = {
    .name = "ReverseSequence",
    .since = 10,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::reverse_sequence,
    .cut = cuts::same,
    .cost = cost,
};

}  // namespace espalier::ops
