#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/cost.h"
#include "lib/ops/cut.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/movement.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// How many elements of a head are rotated.
int64_t rotated(const Node& node, int64_t head_size) {
  const auto given = node.get<int64_t>("rotary_embedding_dim", 0);
  return given > 0 ? given : head_size;
}

/// x: [B, H, S, D] or [B, S, H D]; cos, sin: [positions, R / 2] with position_ids [B, S], else [B, S, R / 2].
void infer(InferContext& c) {
  c.require_inputs(3, 4);
  c.require_rank(0, 3, 4);
  for (const size_t i : {0, 1, 2}) {
    require_type(c, i, is_float, "a float type");
    require_same_type(c, 0, i);
  }
  for (const size_t i : {1, 2}) c.require_rank(i, c.has_input(3) ? 2 : 3, c.has_input(3) ? 2 : 3);
  c.require_rank(3, 2, 2);
  if (c.has_rank(0)) {
    const auto heads = c.node().get<int64_t>("num_heads", 0);
    if (c.rank(0) == 3 && heads < 1) c.fail("num_heads is " + std::to_string(heads) + ", expected at least 1 for an input of rank 3");
    const Dim width = c.dims(0).back();
    if (width.known()) {
      if (c.rank(0) == 3 && width.value() % heads != 0) c.fail("input has width " + width.str() + ", expected a multiple of " + std::to_string(heads) + " heads");
      const int64_t size = c.rank(0) == 3 ? width.value() / heads : width.value(), turns = rotated(c.node(), size);
      if (turns > size || turns % 2 != 0) c.fail("rotates " + std::to_string(turns) + " elements of heads of " + std::to_string(size) + ", expected an even number of at most all");
      for (const size_t i : {1, 2}) {
        const Dim half = c.has_rank(i) ? c.dims(i).back() : Dim();
        if (half.known() && half.value() != turns / 2) c.fail("caches have width " + half.str() + ", expected " + std::to_string(turns / 2));
      }
    }
  }
  c.set(0, c.type(0));
}

/// Pairs (a, b) of a head, at 2 i and 2 i + 1 or half the rotated width apart, become (cos a - sin b, sin a + cos b).
void rotate(EvaluateContext& c, double direction) {
  const Tensor x = c.input(0).cast(DataType::float64), cos = c.input(1).cast(DataType::float64), sin = c.input(2).cast(DataType::float64);
  const bool flat = x.rank() == 3;
  const int64_t heads = flat ? c.node().require<int64_t>("num_heads") : x.dims()[1];
  const int64_t length = x.dims()[flat ? 1 : 2], size = flat ? x.dims()[2] / heads : x.dims()[3];
  const int64_t half = rotated(c.node(), size) / 2;
  const bool interleaved = c.node().get<int64_t>("interleaved", 0) != 0;
  const auto ids = c.has_input(3) ? c.input(3).to_int64s() : std::vector<int64_t>();
  if (c.has_input(3) && c.input(3).size() != x.dims()[0] * length) c.fail("position_ids has shape " + to_string(c.input(3).dims()));
  Tensor y = x;
  const auto from = x.data<double>(), cosines = cos.data<double>(), sines = sin.data<double>();
  const auto to = y.mutable_data<double>();
  for (int64_t row = 0; row < (size ? x.size() / size : 0); ++row) {
    const int64_t b = row / (heads * length), rest = row % (heads * length), t = flat ? rest / heads : rest % length;
    int64_t position = b * length + t;
    if (c.has_input(3)) {
      position = ids[static_cast<size_t>(position)];
      if (position < 0 || position >= cos.dims()[0]) c.fail("position " + std::to_string(position) + " is not one of " + std::to_string(cos.dims()[0]));
    }
    if ((position + 1) * half > cos.size() || cos.size() != sin.size()) c.fail("caches have shape " + to_string(cos.dims()));
    for (int64_t i = 0; i < half; ++i) {
      const int64_t at = row * size + (interleaved ? 2 * i : i), with = at + (interleaved ? 1 : half);
      const double p = cosines[position * half + i], q = direction * sines[position * half + i], first = from[at], second = from[with];
      to[at] = p * first - q * second;
      to[with] = q * first + p * second;
    }
  }
  c.set(0, y.cast(c.input(0).type()));
}

void evaluate(EvaluateContext& c) { rotate(c, 1); }
void evaluate_grad(EvaluateContext& c) { rotate(c, -1); }

/// A rotation back.
void gradient(GradientContext& c) {
  if (c.wants(1) || c.wants(2)) c.fail("cannot be differentiated with respect to its caches");
  std::vector<ValueId> inputs = {c.grad_output(), c.input(1), c.input(2)};
  if (c.input(3) != kNone) inputs.push_back(c.input(3));
  if (c.wants(0)) c.set_grad(0, c.add("RotaryEmbeddingGrad", std::move(inputs), c.node().attributes));
}

/// Arguments: x, cos, sin, [position_ids], y.
class RotaryLoop : public Kernel {
 public:
  struct Problem {
    int64_t batch, heads, length, size, half, positions;
    bool flat, interleaved;
    float direction;
    std::string where;
  };
  RotaryLoop(Problem problem, bool ids) : p_(std::move(problem)), has_ids_(ids) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    cos_ = static_cast<const float*>(args[1]);
    sin_ = static_cast<const float*>(args[2]);
    if (has_ids_) ids_ = static_cast<const int64_t*>(args[3]);
    y_ = static_cast<float*>(args.back());
  }

  void run() override {
    parallel_for(p_.batch * p_.heads * p_.length, 1 + 4096 / p_.size, [this](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) turn(row);
    });
  }

 private:
  void turn(int64_t row) {
    const int64_t b = row / (p_.heads * p_.length), rest = row % (p_.heads * p_.length), t = p_.flat ? rest / p_.heads : rest % p_.length;
    int64_t position = b * p_.length + t;
    if (ids_) position = ids_[position];
    if (position < 0 || position >= p_.positions) {
      throw Error(ErrorKind::bad_data, p_.where + ": position " + std::to_string(position) + " is not one of " + std::to_string(p_.positions));
    }
    const float *x = x_ + row * p_.size, *cos = cos_ + position * p_.half, *sin = sin_ + position * p_.half;
    float* y = y_ + row * p_.size;
    const int64_t step = p_.interleaved ? 2 : 1, with = p_.interleaved ? 1 : p_.half;
    for (int64_t i = 0; i < p_.half; ++i) {
      const float first = x[i * step], second = x[i * step + with], s = p_.direction * sin[i];
      y[i * step] = cos[i] * first - s * second;
      y[i * step + with] = s * first + cos[i] * second;
    }
    std::copy_n(x + 2 * p_.half, p_.size - 2 * p_.half, y + 2 * p_.half);
  }

  Problem p_;
  bool has_ids_;
  const float *x_ = nullptr, *cos_ = nullptr, *sin_ = nullptr;
  const int64_t* ids_ = nullptr;
  float* y_ = nullptr;
};

bool lower_turn(LowerContext& c, float direction) {
  const Dims x = c.dims(0), cos = c.dims(1);
  if (c.type(0) != DataType::float32 || element_count(x) == 0 || element_count(cos) == 0 || cos != c.dims(2)) return false;
  RotaryLoop::Problem p;
  p.flat = x.size() == 3;
  p.batch = x[0];
  p.heads = p.flat ? c.node().require<int64_t>("num_heads") : x[1];
  p.length = x[p.flat ? 1 : 2];
  p.size = p.flat ? x[2] / p.heads : x[3];
  p.half = rotated(c.node(), p.size) / 2;
  p.positions = c.has_input(3) ? cos[0] : cos[0] * cos[1];
  p.interleaved = c.node().get<int64_t>("interleaved", 0) != 0;
  p.direction = direction;
  p.where = c.node().where();
  if (cos.back() != p.half || (c.has_input(3) && element_count(c.dims(3)) != p.batch * p.length)) return false;
  if (!c.has_input(3) && p.positions != p.batch * p.length) return false;
  std::vector<Operand> args;
  for (size_t i = 0; i < 4; ++i) {
    if (c.has_input(i)) args.push_back(read_plain(c, i));
  }
  args.push_back(write_plain(c));
  c.step(std::make_unique<RotaryLoop>(std::move(p), c.has_input(3)), args, "loop");
  return true;
}

bool lower(LowerContext& c) { return lower_turn(c, 1); }
bool lower_grad(LowerContext& c) { return lower_turn(c, -1); }

/// Each element belongs to a pair and an angle.
void assign(UnitContext& c) {
  const ValueId x = c.input(0);
  c.freeze_axis(x, c.rank(x) - 1, "RotaryEmbedding turns it by its position");
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.active(c.input(i))) c.freeze_value(c.input(i), "RotaryEmbedding reads angles from it");
  }
  c.set(c.output(), c.bundles(x));
}

void cut(CutContext& c) {
  const ValueId x = c.input(0);
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged == c.rank(x) - 1) c.inexpressible(x, k.ragged, "permuted RotaryEmbedding axis");
  }
  cuts::counting(c);
}

/// Four products and two sums for each pair.
Cost cost(const InferContext& c) { return {.flops = checked_mul(3, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op rotary_embedding, rotary_embedding_grad;

const Op rotary_embedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = assign,
    .cut = cut,
    .cost = cost,
};

/// RotaryEmbeddingGrad(dy, cos, sin, position_ids) {those of RotaryEmbedding}: the rotation back.
const Op rotary_embedding_grad = {
    .name = "RotaryEmbeddingGrad",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
};

}  // namespace espalier::ops
